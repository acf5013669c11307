"""A ROS 2 node that segments the images of a topic: the class of each pixel, with the header of its image.

python examples/ros2_node.py --ros-args -r image:=/camera/image_raw -p model:=td6-lite0s-camvid

It listens to `image` (sensor_msgs/Image: rgb8, bgr8, rgba8, bgra8 or mono8) and publishes `mask` (mono8, class indices)
and `overlay` (rgb8). Its queue holds one image, so a node that is slower than the camera works on the newest. A jump of
the clock, or another size, begins anew without memory. rclpy is imported when the node runs: it comes with ROS 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0), "mono8": (0, 0, 0)}
"""Where red, green and blue are in a pixel of each encoding."""
DEPTH = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
"""Bytes of a pixel."""
GAP_S = 1.0
"""Between two images, from which on the second is the first of another video."""


def to_rgb(message: Any) -> NDArray[np.uint8]:
    """The picture of a sensor_msgs/Image, (H, W, 3) RGB.

    Raises:
        ValueError: an encoding that is not known.
    """
    if message.encoding not in CHANNELS:
        raise ValueError(f"encoding {message.encoding}, not one of {', '.join(CHANNELS)}")
    depth = DEPTH[message.encoding]
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)  # rows may have padding
    pixels = rows[:, : message.width * depth].reshape(message.height, message.width, depth)
    return np.ascontiguousarray(pixels[..., CHANNELS[message.encoding]])


def fill(message: Any, picture: NDArray[np.uint8], encoding: str, header: Any) -> Any:
    """A sensor_msgs/Image of a picture, (H, W) or (H, W, 3), with the header of the image it was made of."""
    message.header, message.encoding, message.is_bigendian = header, encoding, 0
    message.height, message.width = picture.shape[:2]
    message.step = picture[0].nbytes
    message.data = picture.tobytes()
    return message


def main() -> None:
    """Run the node until it is interrupted."""
    import rclpy
    from rclpy.node import Node
    from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image

    import tdseg

    class SegmentingNode(Node):  # type: ignore[misc]  # ROS has no types here
        """Images in, masks and overlays out."""

        def __init__(self) -> None:
            super().__init__("tdseg")
            model = self.declare_parameter("model", "td6-lite0s-camvid").value
            self.stream = tdseg.Stream(tdseg.load(model, runtime="auto"))
            self.last_s: float | None = None
            newest = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
            self.mask = self.create_publisher(Image, "mask", newest)
            self.overlay = self.create_publisher(Image, "overlay", newest)
            self.create_subscription(Image, "image", self.segment, newest)

        def segment(self, message: Any) -> None:
            """One image."""
            stamp = message.header.stamp
            time_s = stamp.sec + stamp.nanosec * 1e-9
            if self.last_s is not None and not 0 <= time_s - self.last_s < GAP_S:
                self.stream.reset()
            self.last_s = time_s
            result = self.stream.step(to_rgb(message), time_s=time_s)
            self.mask.publish(fill(Image(), result.mask, "mono8", message.header))
            if self.overlay.get_subscription_count():
                self.overlay.publish(fill(Image(), result.overlay(), "rgb8", message.header))

    rclpy.init()
    node = SegmentingNode()
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
