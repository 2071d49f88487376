// Any picture as an example of a gray image set: how a user's own file becomes what a classifier was trained on.
#pragma once

#include "apps/common/png.h"

namespace gradus::apps {

/// A square gray image of side x side pixels, light object on black, from an RGBA picture of any size, following how
/// Fashion-MNIST was made from product photos (Xiao, Rasul and Vollgraf 2017, section 2):
/// - transparent parts take the backdrop, white or black, that the object stands out from;
/// - a picture whose corners are light is inverted;
/// - unless it has the right size already, edges within 5 % of the corners' color are trimmed, the longest side is
///   scaled to `side` by averaging over areas, the shape kept, and the result is centered on black.
Image to_example(const Image& rgba, int side);

}  // namespace gradus::apps
