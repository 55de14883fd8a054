"""What a model is trained on and shown: drawn sprites and faces, folders of pictures, the field's files."""

from .batches import (
    LARGEST_LATTICE,
    DSprites,
    FactorFile,
    Images,
    Shapes3D,
    as_images,
    factors_of,
    image_of,
    index_of,
    load_data,
    mirror_half,
    render,
    split,
    to_batch,
    to_rgb,
    to_uint8,
)
from .cache import Cache
from .celeba import CelebA, load_celeba
from .faces import CartoonFaces
from .folder import ImageFolder
from .sprites import Sprites, check_factors
from .zips import unpack
