"""The networks. Nothing here knows of video, data sets or training."""
