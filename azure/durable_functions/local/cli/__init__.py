"""The ``durable`` command: stands above the rest of ``local``; nothing else imports it."""
