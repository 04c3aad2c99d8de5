"""The ``durable`` command. It is built on the rest of ``local``, which never imports it."""
