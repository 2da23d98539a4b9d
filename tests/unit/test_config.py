import pytest

from digest.config import load
from digest.errors import ConfigError
from tests.support.make import CONFIG, REPOSITORY


def wrong(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as told:
        load(tmp_path)
    return str(told.value).splitlines()


def test_the_repositorys_own_configuration_is_right():
    assert load(REPOSITORY).newsletter.name == "MS Research Digest"


def test_the_sample_of_the_design_is_right(tmp_path):
    (tmp_path / "config.yaml").write_text(
        CONFIG
        + """
selection: {max_teasers: 12, max_per_interest: 5, max_html_kb: 80, when_empty: skip}
store: {url: "sqlite:///var/digest.db"}
queue: inline
delivery:
  provider: outbox
  allow: ["*@example.org"]
  uncertain: hold
  max_per_minute: 6000
  outbox: {path: var/outbox}
  smtp: {host: 127.0.0.1, port: 1025, security: none, connections: 4}
  sendgrid: {base_url: https://api.sendgrid.com, batch: 200, mode: grouped}
""",
        encoding="utf-8",
    )
    assert load(tmp_path).delivery.sendgrid.batch == 200


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("cadences:", "cadenzes:", "config.yaml:9: cadenzes: unknown key; did you mean cadences?"),
        (
            "approval: automatic}\n  weekly",
            "aproval: automatic}\n  weekly",
            "config.yaml:10: cadences.monthly.aproval: unknown key; did you mean approval?",
        ),
        ("kind: folder, path", "kind: folder, pth", "config.yaml:8: sources.0.pth: unknown key; did you mean path?"),
        (
            "kind: folder",
            "kind: fodler",
            'config.yaml:8: sources.0.kind: "fodler" is not a kind of source (folder, feed, page, text, json)',
        ),
        (
            "Europe/London",
            "Europe/Londn",
            'config.yaml:4: newsletter.timezone: "Europe/Londn" is not a time zone; did you mean Europe/London?',
        ),
        (
            "https://letter",
            "http://letter",
            'config.yaml:3: newsletter.url: "http://letter.example.org" must be an address that begins with https://',
        ),
        ('at: "09:00"', "at: 9:00", None),
        ('at: "09:00"', 'at: "25:00"', 'config.yaml:10: cadences.monthly.at: "25:00" is not a time of day; write it as "09:00", in quotes'),
        ("day: 1,", "day: 32,", None),
        ("{day: 1,", "{", "config.yaml:10: cadences.monthly: a cadence needs one of day (1 to 31, last, first monday), weekday or rrule"),
        (
            "{day: 1,",
            "{rrule: FREQ=HOURLY,",
            "config.yaml:10: cadences.monthly: FREQ=HOURLY is more often than once a day; an issue has a date of its own",
        ),
        ("{day: 1,", '{day: "fifth monday",', None),
        ("{day: 1,", "{day: first monday, months: [1], every: 2,", None),
        (
            '{day: 1, at: "09:00", approval: automatic}',
            "mothly",
            'config.yaml:10: cadences.monthly: "mothly" is not a cadence; a plain word is one of '
            "daily, weekly, fortnightly, monthly, quarterly, yearly",
        ),
        ("newsletter:\n  name: Test Letter\n", "newsletter:\n", "config.yaml:1: newsletter.name: is missing"),
        (
            "cadences:",
            "secret_key: abc\ncadences:",
            "config.yaml:9: secret_key: a secret does not belong in a file; set DIGEST_SECRET_KEY in the environment",
        ),
        (
            "cadences:",
            "login: {oidc: {issuer: 'http://id.example.org', client_id: x}}\ncadences:",
            'config.yaml:9: login.oidc.issuer: "http://id.example.org" must be an address that begins with https:// '
            "and has no ? or #, exactly as the provider writes it",
        ),
        ("cadences:", "login: {oidc: {issuer: 'https://id.example.org', client_id: x, provision: viewer}}\ncadences:", None),
        ("cadences:", "sources: []\ncadences:", 'config.yaml:9: "sources" stands twice; only one can count'),
        ("newsletter:", "newsletter: [", None),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path, old, new, told):
    assert old in CONFIG
    lines = wrong(tmp_path, CONFIG.replace(old, new, 1))
    assert all(line.startswith("config.yaml:") for line in lines)
    if told:
        assert told in lines


def test_a_cadence_may_be_one_plain_word(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG + "  quarterly: quarterly\n", encoding="utf-8")
    cadence = load(tmp_path).cadences["quarterly"]
    assert (cadence.day, cadence.every, cadence.approval) == (1, 3, "required")


def test_all_mistakes_are_told_at_once(tmp_path):
    lines = wrong(tmp_path, CONFIG.replace("timezone", "timezon").replace("reply_to", "reply").replace("day: 1", "day: 0"))
    assert len(lines) >= 4


def test_the_environment_wins_key_by_key(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text(CONFIG + "delivery: {max_per_minute: 7}\n", encoding="utf-8")
    monkeypatch.setenv("DIGEST_DELIVERY__PROVIDER", "smtp")
    found = load(tmp_path).delivery
    assert (found.provider, found.max_per_minute) == ("smtp", 7)


def test_a_mistake_in_the_environment_is_told_as_such(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGEST_DELIVERY__PROVIDER", "sendgird")
    assert any("DIGEST_DELIVERY__PROVIDER" in line and "outbox, smtp, sendgrid" in line for line in wrong(tmp_path, CONFIG))


def test_a_misspelt_variable_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGEST_DELIVRY__PROVIDER", "smtp")
    assert "the environment: DIGEST_DELIVRY__PROVIDER: names no key of config.yaml; did you mean DIGEST_DELIVERY?" in wrong(
        tmp_path, CONFIG
    )


def test_secrets_come_from_the_environment_and_are_not_printed(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    for name in ("DIGEST_SECRET_KEY", "SENDGRID_API_KEY", "DIGEST_SMTP_PASSWORD"):
        monkeypatch.setenv(name, "hush-hush")
    config = load(tmp_path)
    assert config.secret_key and config.sendgrid_api_key and config.smtp_password
    assert "hush" not in repr(config) and "hush" not in config.model_dump_json()


def test_a_folder_without_a_workspace_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="digest init"):
        load(tmp_path)


def test_every_key_has_its_sentence_in_the_guide():
    guide = (REPOSITORY / "docs" / "config.md").read_text(encoding="utf-8")
    from digest.config import Config

    missing = [name for name in sorted(key_names(Config.model_json_schema())) if f"`{name}`" not in guide]
    assert not missing


def key_names(schema):
    secret = {"secret_key", "oidc_secret", "smtp_password", "SENDGRID_API_KEY"}
    found = set(schema.get("properties", {})) - secret
    for part in schema.get("$defs", {}).values():
        found |= set(part.get("properties", {}))
    return found
