"""Where real parts are chosen: settings in, working parts out. A command imports what it runs."""
