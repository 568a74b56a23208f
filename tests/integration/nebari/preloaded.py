"""`nebari` with the stand-ins loaded, for a release that takes no notice of its own --import-plugin (nebari#1957)."""

from __future__ import annotations

from pathlib import Path

from nebari.__main__ import main
from nebari.plugins import nebari_plugin_manager

nebari_plugin_manager.load_plugins([str(Path(__file__).with_name("upstream.py"))])
main()
