"""HTTP for the service: a small WSGI frame (`application`) and the embedded server (`server`) that runs it."""
