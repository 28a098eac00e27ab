"""The Gradio demo of one run."""
