"""From a video to its masks: streams, the pipeline around them, and what a run leaves."""
