"""`status` and `resume`: what the group does, and the word that it goes on."""
