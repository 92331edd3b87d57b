"""The page: Gradio's controls, and our own tables and drawings as HTML that needs no script to be read."""
