"""ribocast in the browser and over HTTP: ``ribocast serve``. Needs the extra ``web``."""
