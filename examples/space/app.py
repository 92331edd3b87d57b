"""A Hugging Face Space with ribocast's page and API; see README.md beside it."""

from ribocast.web.serving import serve
from ribocast.web.settings import Settings

serve(
    Settings(
        host="0.0.0.0",  # noqa: S104  (a Space is reached through its proxy alone)
        port=7860,
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
