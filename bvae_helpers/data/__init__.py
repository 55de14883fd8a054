"""What a model is trained on and shown: drawn sprites and faces, folders of pictures, the field's files."""

from .batches import (
    LARGEST_LATTICE,
    Images,
    as_images,
    draw,
    image_of,
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
from .editions import ColourSprites, NoisySprites, PictureSprites
from .faces import CartoonFaces
from .factor_files import MPI3D, Cars3D, DSprites, FactorFile, Shapes3D, SmallNORB
from .factors import FactorData, check_factors, factors_of, index_of
from .folder import ImageFolder
from .sprites import Sprites
from .zips import unpack
