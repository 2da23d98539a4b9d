"""Make digest/lint/data/caniemail.json anew: which mail program understands which piece of HTML and CSS.

    npm pack caniemail@2.0.2 && tar xzf caniemail-2.0.2.tgz
    python -m benchmarks.caniemail package/data/caniemail.json package/package.json

Data: Can I email (caniemail.com), MIT licence, Copyright (c) 2019 HTeuMeuLeu; packed for npm as `caniemail` by Andrew Powell, MIT.
For each feature the newest tested version of each program counts: y yes, a partly, n no, u not known.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

TARGET = Path(__file__).parents[1] / "digest" / "lint" / "data" / "caniemail.json"
CLIENTS = (
    "apple-mail.ios", "apple-mail.macos", "gmail.desktop-webmail", "gmail.ios", "gmail.android", "gmail.mobile-webmail",
    "outlook.windows", "outlook.outlook-com", "outlook.macos", "outlook.ios", "outlook.android", "yahoo.desktop-webmail",
    "samsung-email.android", "thunderbird.macos",
)  # fmt: skip


def main(data: Path, package: Path) -> None:
    """Write the short table of what stands in the long one."""
    whole = json.loads(data.read_text("utf-8"))
    features = {}
    for feature in sorted(whole["data"], key=lambda one: one["slug"]):
        letters = ""
        for client in CLIENTS:
            family, platform = client.split(".")
            versions = list(feature["stats"].get(family, {}).get(platform, {}).values())
            letters += versions[-1][0] if versions else "u"
        features[feature["slug"]] = letters
    found = {
        "source": "https://www.caniemail.com/",
        "license": "MIT, Copyright (c) 2019 HTeuMeuLeu",
        "version": f"npm caniemail {json.loads(package.read_text('utf-8'))['version']}, data of {whole['last_update_date'][:10]}",
        "clients": list(CLIENTS),
        "features": features,
    }
    TARGET.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
