"""Class names and colours of the label sets that models here are trained on."""

from collections.abc import Sequence

CAMVID = (
    ("Sky", (70, 130, 180)),
    ("Building", (122, 112, 108)),
    ("Pole", (220, 190, 90)),
    ("Road", (128, 64, 128)),
    ("Pavement", (244, 35, 232)),
    ("Tree", (87, 142, 45)),
    ("SignSymbol", (250, 220, 0)),
    ("Fence", (190, 120, 100)),
    ("Car", (30, 60, 200)),
    ("Pedestrian", (220, 20, 60)),
    ("Bicyclist", (255, 120, 30)),
)
CAMVID_CLASSES = tuple(name for name, _ in CAMVID)
CAMVID_PALETTE = tuple(color for _, color in CAMVID)

CITYSCAPES = (
    ("road", (128, 64, 128)),
    ("sidewalk", (244, 35, 232)),
    ("building", (70, 70, 70)),
    ("wall", (102, 102, 156)),
    ("fence", (190, 153, 153)),
    ("pole", (153, 153, 153)),
    ("traffic light", (250, 170, 30)),
    ("traffic sign", (220, 220, 0)),
    ("vegetation", (107, 142, 35)),
    ("terrain", (152, 251, 152)),
    ("sky", (70, 130, 180)),
    ("person", (220, 20, 60)),
    ("rider", (255, 0, 0)),
    ("car", (0, 0, 142)),
    ("truck", (0, 0, 70)),
    ("bus", (0, 60, 100)),
    ("train", (0, 80, 100)),
    ("motorcycle", (0, 0, 230)),
    ("bicycle", (119, 11, 32)),
)
CITYSCAPES_CLASSES = tuple(name for name, _ in CITYSCAPES)
CITYSCAPES_PALETTE = tuple(color for _, color in CITYSCAPES)

CAMVID32 = (
    ("Animal", (64, 128, 64), "Pedestrian"),
    ("Archway", (192, 0, 128), "Building"),
    ("Bicyclist", (0, 128, 192), "Bicyclist"),
    ("Bridge", (0, 128, 64), "Building"),
    ("Building", (128, 0, 0), "Building"),
    ("Car", (64, 0, 128), "Car"),
    ("CartLuggagePram", (64, 0, 192), "Pedestrian"),
    ("Child", (192, 128, 64), "Pedestrian"),
    ("Column_Pole", (192, 192, 128), "Pole"),
    ("Fence", (64, 64, 128), "Fence"),
    ("LaneMkgsDriv", (128, 0, 192), "Road"),
    ("LaneMkgsNonDriv", (192, 0, 64), "Road"),
    ("Misc_Text", (128, 128, 64), "SignSymbol"),
    ("MotorcycleScooter", (192, 0, 192), "Bicyclist"),
    ("OtherMoving", (128, 64, 64), "Car"),
    ("ParkingBlock", (64, 192, 128), "Pavement"),
    ("Pedestrian", (64, 64, 0), "Pedestrian"),
    ("Road", (128, 64, 128), "Road"),
    ("RoadShoulder", (128, 128, 192), "Pavement"),
    ("Sidewalk", (0, 0, 192), "Pavement"),
    ("SignSymbol", (192, 128, 128), "SignSymbol"),
    ("Sky", (128, 128, 128), "Sky"),
    ("SUVPickupTruck", (64, 128, 192), "Car"),
    ("TrafficCone", (0, 0, 64), "Pole"),
    ("TrafficLight", (0, 64, 64), "SignSymbol"),
    ("Train", (192, 64, 128), "Car"),
    ("Tree", (128, 128, 0), "Tree"),
    ("Truck_Bus", (192, 128, 192), "Car"),
    ("Tunnel", (64, 0, 64), "Building"),
    ("VegetationMisc", (192, 192, 0), "Tree"),
    ("Void", (0, 0, 0), None),
    ("Wall", (64, 192, 0), "Building"),
)
"""CamVid's own classes in order: name, colour in the label files, and which of the 11 classes it is part of (the
grouping of Sturgess et al., BMVC 2009, and SegNet). Void is one of the 32, but its pixels are ignored in both."""
CAMVID32_CLASSES = tuple(name for name, _, _ in CAMVID32)
CAMVID32_PALETTE = tuple(color for _, color, _ in CAMVID32)

NYUDV2_CLASSES = (
    *("wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf"),
    *("picture", "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat"),
    *("clothes", "ceiling", "books", "refrigerator", "television", "paper", "towel", "shower curtain", "box"),
    *("whiteboard", "person", "night stand", "toilet", "sink", "lamp", "bathtub", "bag"),
    *("otherstructure", "otherfurniture", "otherprop"),
)
"""The 40 classes of Gupta, Arbelaez & Malik, CVPR 2013."""


def plain_name(name: str) -> str:
    """The name of a class as it is compared: case does not count, nor does an underscore for a space."""
    return name.strip().casefold().replace("_", " ")


def class_difference(ours: Sequence[str] | int, theirs: Sequence[str] | int) -> str:
    """How two lists of classes differ, in words: "11 classes, not 12", or "class 3 is Car, not car park"; "" if not.

    Case does not count, nor does an underscore for a space.

    Args:
        ours, theirs: names by index, or how many there are where these are not known.
    """
    ours_count, theirs_count = (known if isinstance(known, int) else len(known) for known in (ours, theirs))
    if ours_count != theirs_count:
        return f"{theirs_count} classes, not {ours_count}"
    if isinstance(ours, int) or isinstance(theirs, int):
        return ""
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if plain_name(one) != plain_name(other):
            return f"class {index} is {other}, not {one}"
    return ""
