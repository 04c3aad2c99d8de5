"""Reads the files of an app folder: host.json, local.settings.json, requirements.txt."""
