"""The command `qpa`: `app.py` and one module a verb. Nothing heavy is imported before a verb runs."""
