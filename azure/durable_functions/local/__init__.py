"""The local host: the Functions host and the Durable Task extension on one machine.

Needs the extra ``[local]``. The map of the folder:

- ``cli/``: the ``durable`` command. It is built on everything below; nothing below imports it.
- ``host.py`` opens a host and reloads the app when its files change. ``options.py`` has the options
  of ``durable start``, ``start_output.py`` the lines that a start prints.
- ``config/`` reads the files of an app folder: host.json, local.settings.json, requirements.txt.
- ``web/`` answers HTTP requests: the management API, the admin API, the app's HTTP functions.
- ``timer_triggers/`` runs timer functions when they are due.
- ``engine/`` decides what happens next to an instance: turns, activities, timers, entities.
- ``store/`` keeps instances, histories and messages in SQLite; only it knows SQL.
- ``workers/`` is the host's side of the process border: it starts workers and calls functions.
- ``worker/`` is the other side: it loads the app and runs its functions.
- ``console_log.py`` formats log lines, ``failure_texts.py`` failures for people. ``http_sender.py``
  sends durable HTTP requests. ``state_folder.py`` guards the ``.durable`` folder, ``watcher.py``
  notices changed files, ``operating_system.py`` has the calls that differ between systems.

The arrows point downwards: ``host`` → ``web``, ``timer_triggers`` → ``engine`` → ``store``. Only
``workers/`` and what is above it know that functions run in other processes.
tests/names/test_addresses.py holds these arrows.
"""
