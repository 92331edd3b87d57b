"""A Hugging Face Space with ribocast's page and API; see README.md beside it."""

import os

from ribocast.web.serving import serve
from ribocast.web.settings import read_settings

serve(
    # What is not said here can be said by the Space's variables and secrets: RIBOCAST_MODELS, RIBOCAST_TOKEN.
    read_settings(
        os.environ,
        host="0.0.0.0",  # noqa: S104  (a Space is reached through its proxy alone)
        auth=False,
        threads=2,
        frame_ancestors="https://huggingface.co https://*.hf.space",
        # Spaces put a proxy before the application.
        trusted_proxy="*",
        calls_per_minute=120,
        jobs_at_once=1,
    ),
    print,
)
