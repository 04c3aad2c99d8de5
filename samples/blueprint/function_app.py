"""An app that is put together from blueprints."""

import azure.functions as func
from greetings import bp

import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(bp)
