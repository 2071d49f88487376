// Fashion-MNIST (Xiao, Rasul and Vollgraf 2017): 60,000 and 10,000 grey images of 28 x 28 pixels in 10 classes.
//
//   const auto set = data::load_fashion_mnist();
//   for (const auto& batch : data::DataLoader(set.train, {.batch_size = 128, .shuffle = true}).epoch(0)) ...
#pragma once

#include "data/images.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gradus::data {

inline constexpr std::array<std::string_view, 10> kFashionMnistClasses = {
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};
inline constexpr Index kFashionMnistSide = 28;
/// Mean and standard deviation of the training pixels.
inline constexpr Normalization kFashionMnistNormalization = {0.2860, 0.3530};

struct FashionMnist {
  ImageDataset train;
  ImageDataset test;
  std::string dir;        // where it was found
  bool original = false;  // the published bytes, by their SHA-256
};

struct FashionMnistOptions {
  /// The folder to use. Empty: the first place that has the set, see load_fashion_mnist.
  std::string dir = "";
  /// Accepts another set of the same format: 28 x 28 pixels, labels 0 to 9. Else the SHA-256 sums must match.
  bool allow_other = false;
  /// Whether the last resort, a download into the user's cache, may be used.
  bool download = true;
  /// Called during a download, several times a second, with the bytes so far and in all.
  void (*progress)(void* context, std::int64_t bytes, std::int64_t total) = nullptr;
  void* progress_context = nullptr;

  /// Where the Debian package dataset-fashion-mnist puts the files.
  std::string system_dir = "/usr/share/datasets/fashion-mnist";
  /// Where the four .gz files are downloaded from.
  std::string url = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com";
};

/// Reads the set from `dir` if given, else from the first of these that has all four files, plain or gzip:
/// $GRADUS_DATA_DIR/fashion-mnist, $GRADUS_DATA_DIR, the user's cache (see cache_dir) under fashion-mnist, the system's
/// folder; else downloads it into the cache. An Error lists the places that were looked at.
FashionMnist load_fashion_mnist(const FashionMnistOptions& options = {});

}  // namespace gradus::data
