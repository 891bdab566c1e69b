"""`config` and `config check`: the settings in force, and what they name."""
