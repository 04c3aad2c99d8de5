"""What an app's folder says: host.json, local.settings.json, requirements.txt."""
