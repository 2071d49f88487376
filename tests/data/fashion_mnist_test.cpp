// Fashion-MNIST: the real files, where they are looked for, downloads (from a local folder), and own sets.
#include "data/fashion_mnist.h"

#include "data/download.h"
#include "data/loader.h"
#include "tests/data/fixtures.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <filesystem>

using namespace gradus;
using namespace gradus::data;
using namespace gradus::testing;
using Catch::Matchers::Contains;

namespace {

// A folder with no set in any of the usual places, so that a test decides what is found.
class Nowhere {
 public:
  FashionMnistOptions options() const { return {.download = false, .system_dir = folder_ / "system"}; }
  std::string operator/(const std::string& name) const { return folder_ / name; }

 private:
  TemporaryFolder folder_;
  Variable data_dir_{"GRADUS_DATA_DIR", std::nullopt};
  Variable cache_{"GRADUS_CACHE_DIR", folder_ / "cache"};
  Variable xdg_{"XDG_CACHE_HOME", std::nullopt};
};

// A set of the same format: three training images, two test images.
void write_own_set(const std::string& dir, std::uint8_t label = 9, const std::string& ending = "",
                   std::uint32_t side = 28) {
  std::filesystem::create_directories(dir);
  const auto pack = [&](const Bytes& bytes) { return ending.empty() ? bytes : gzip(bytes); };
  const auto pixels = [&](std::uint32_t count) { return Bytes(std::size_t{count} * side * side, 100); };
  save(dir + "/train-images-idx3-ubyte" + ending, pack(idx({3, side, side}, pixels(3))));
  save(dir + "/train-labels-idx1-ubyte" + ending, pack(idx({3}, {0, label, 2})));
  save(dir + "/t10k-images-idx3-ubyte" + ending, pack(idx({2, side, side}, pixels(2))));
  save(dir + "/t10k-labels-idx1-ubyte" + ending, pack(idx({2}, {1, 2})));
}

FashionMnist load_own(FashionMnistOptions options) {
  options.allow_other = true;
  return load_fashion_mnist(options);
}

}  // namespace

TEST_CASE("fashion_mnist: the packaged files are the published ones") {
  const Nowhere nowhere;
  const FashionMnist set = load_fashion_mnist({.download = false});
  CHECK(set.original);
  CHECK(set.dir == "/usr/share/datasets/fashion-mnist");
  CHECK(set.train.size() == 60000);
  CHECK(set.test.size() == 10000);

  std::vector<Index> counts(10);
  for (const std::uint8_t label : set.train.images().labels) ++counts.at(label);
  CHECK(counts == std::vector<Index>(10, 6000));
  CHECK(kFashionMnistClasses[set.train.images().labels[0]] == "Ankle boot");

  // The normalization constants, to the digits they have.
  double sum = 0, squares = 0;
  for (const std::uint8_t pixel : set.train.images().pixels) {
    sum += pixel / 255.0;
    squares += pixel / 255.0 * (pixel / 255.0);
  }
  const double mean = sum / (60000 * 784.0);
  CHECK(mean == Approx(kFashionMnistNormalization.mean).margin(5e-5));
  CHECK(std::sqrt(squares / (60000 * 784.0) - mean * mean) == Approx(kFashionMnistNormalization.std).margin(5e-5));

  DataLoader loader(set.test, {.batch_size = 128});
  for (const Batch& batch : loader.epoch(0)) {
    CHECK(batch.x.shape() == Shape{128, 784});
    CHECK(batch.y.shape() == Shape{128});
    break;
  }
}

TEST_CASE("fashion_mnist: the places are tried in order") {
  const Nowhere nowhere;
  const FashionMnistOptions options = nowhere.options();
  write_own_set(nowhere / "system");
  CHECK(load_own(options).dir == nowhere / "system");
  write_own_set(nowhere / "cache/fashion-mnist", 9, ".gz");
  CHECK(load_own(options).dir == nowhere / "cache/fashion-mnist");
  {
    const Variable data_dir("GRADUS_DATA_DIR", nowhere / "data");
    CHECK(load_own(options).dir == nowhere / "cache/fashion-mnist");  // nothing there yet
    write_own_set(nowhere / "data");
    CHECK(load_own(options).dir == nowhere / "data");
    write_own_set(nowhere / "data/fashion-mnist");
    CHECK(load_own(options).dir == nowhere / "data/fashion-mnist");
    write_own_set(nowhere / "own");
    FashionMnistOptions own = options;
    own.dir = nowhere / "own";
    CHECK(load_own(own).dir == nowhere / "own");
    own.dir = nowhere / "missing";  // a folder that was asked for is not replaced by another
    CHECK_THROWS_WITH(load_own(own), Contains(nowhere / "missing") && Contains("no such folder"));
  }
  std::filesystem::remove(nowhere / "cache/fashion-mnist/t10k-labels-idx1-ubyte.gz");
  CHECK(load_own(options).dir == nowhere / "system");
}

TEST_CASE("fashion_mnist: without the set, the error lists every place and the remedies") {
  const Nowhere nowhere;
  write_own_set(nowhere / "system");
  std::filesystem::remove(nowhere / "system/t10k-labels-idx1-ubyte");
  const Variable data_dir("GRADUS_DATA_DIR", nowhere / "data");
  const std::string error = error_of([&] { load_fashion_mnist(nowhere.options()); });
  for (const std::string& part :
       {std::string("fashion_mnist: the data set was not found\n"), nowhere / "data/fashion-mnist (GRADUS_DATA_DIR)",
        nowhere / "data (GRADUS_DATA_DIR): no such folder", nowhere / "cache/fashion-mnist (the user's cache)",
        nowhere / "system (the package dataset-fashion-mnist): lacks t10k-labels-idx1-ubyte",
        std::string("install the Debian package dataset-fashion-mnist"), std::string("--data or GRADUS_DATA_DIR")})
    CHECK_THAT(error, Contains(part));
}

TEST_CASE("cache_dir follows the variables") {
  const Variable home("HOME", "/home/someone");
  const Variable xdg("XDG_CACHE_HOME", std::nullopt);
  const Variable own("GRADUS_CACHE_DIR", std::nullopt);
  CHECK(cache_dir() == "/home/someone/.cache/gradus");
  {
    const Variable set("XDG_CACHE_HOME", "/fast");
    CHECK(cache_dir() == "/fast/gradus");
    const Variable also("GRADUS_CACHE_DIR", "/fastest");
    CHECK(cache_dir() == "/fastest");
  }
  const Variable relative("XDG_CACHE_HOME", "relative");
  CHECK(cache_dir() == "/home/someone/.cache/gradus");
  const Variable empty("HOME", "");
  CHECK(cache_dir().empty());
}

TEST_CASE("fashion_mnist: bytes other than the published ones need leave") {
  const Nowhere nowhere;
  FashionMnistOptions options = nowhere.options();
  options.dir = nowhere / "own";
  write_own_set(options.dir);
  CHECK_THROWS_WITH(load_fashion_mnist(options),
                    Contains(nowhere / "own/train-images-idx3-ubyte is not the published file") &&
                        Contains("expected: c59f468a2f672dc8"));
  options.allow_other = true;
  const FashionMnist set = load_fashion_mnist(options);
  CHECK_FALSE(set.original);
  CHECK(set.train.size() == 3);
  CHECK(set.test.images().labels == Bytes{1, 2});
}

TEST_CASE("fashion_mnist: own sets are checked") {
  const Nowhere nowhere;
  FashionMnistOptions options = nowhere.options();
  options.dir = nowhere / "own";
  write_own_set(options.dir, 10);
  CHECK_THROWS_WITH(load_own(options), Contains("train-labels-idx1-ubyte: label 1 of 3 is 10; allowed are 0 to 9"));
  write_own_set(options.dir, 9, "", 32);
  CHECK_THROWS_WITH(load_own(options), Contains("expected 28 x 28 pixels, found 32 x 32"));
  write_own_set(options.dir);
  save(nowhere / "own/t10k-labels-idx1-ubyte", idx({3}, {1, 2, 3}));
  CHECK_THROWS_WITH(load_own(options), Contains("t10k-images-idx3-ubyte: 2 images") && Contains("3 labels"));
  save(nowhere / "own/t10k-labels-idx1-ubyte", idx({4000000000}, {1, 2}));
  CHECK_THROWS_WITH(load_own(options), Contains("t10k-labels-idx1-ubyte has fewer values than its header says"));
  save(nowhere / "own/t10k-images-idx3-ubyte", idx({2}, {1, 2}));
  CHECK_THROWS_WITH(load_own(options), Contains("offset 3, rank: expected 3, found 1"));
  save(nowhere / "own/t10k-images-idx3-ubyte", gzip({1, 2}));
  CHECK_THROWS_WITH(load_own(options), Contains("t10k-images-idx3-ubyte is too short"));
}

TEST_CASE("fashion_mnist: downloads into the cache, once, with progress") {
  const Nowhere nowhere;
  FashionMnistOptions options = nowhere.options();
  options.download = true;
  options.url = "file:///usr/share/datasets/fashion-mnist";
  std::int64_t seen = 0;
  options.progress_context = &seen;
  options.progress = [](void* context, std::int64_t bytes, std::int64_t total) {
    CHECK(bytes >= *static_cast<std::int64_t*>(context));
    CHECK(total == 30878645);
    *static_cast<std::int64_t*>(context) = bytes;
  };
  const FashionMnist set = load_fashion_mnist(options);
  CHECK(set.original);
  CHECK(set.dir == nowhere / "cache/fashion-mnist");
  CHECK(seen > 0);
  const auto files = [&] {
    const std::filesystem::directory_iterator begin(nowhere / "cache/fashion-mnist");
    return std::distance(begin, std::filesystem::directory_iterator());
  };
  CHECK(files() == 4);

  std::filesystem::remove(nowhere / "cache/fashion-mnist/t10k-labels-idx1-ubyte.gz");
  CHECK(load_fashion_mnist(options).original);
  CHECK(files() == 4);
  options.url = "file:///nonexistent";  // not needed any more
  CHECK(load_fashion_mnist(options).original);
}

TEST_CASE("fashion_mnist: a failed or wrong download leaves nothing behind") {
  const Nowhere nowhere;
  FashionMnistOptions options = nowhere.options();
  options.download = true;
  options.url = "file://" + nowhere / "mirror";
  CHECK_THROWS_WITH(load_fashion_mnist(options), Contains("download: fetching file://") && Contains("curl: (") &&
                                                     Contains("install the Debian package"));
  write_own_set(nowhere / "mirror", 9, ".gz");
  CHECK_THROWS_WITH(load_fashion_mnist(options), Contains("is not the published file"));
  save(nowhere / "mirror/train-images-idx3-ubyte.gz", gzip(Bytes(60000000)));
  CHECK_THROWS_WITH(load_fashion_mnist(options), Contains("more than the 47040016 bytes"));
  CHECK(std::filesystem::is_empty(nowhere / "cache/fashion-mnist"));

  const Variable path("PATH", nowhere / "no-programs");
  CHECK_THROWS_WITH(load_fashion_mnist(options), Contains("cannot start the program curl") && Contains("install curl"));
}

TEST_CASE("fashion_mnist: a cache that cannot be made is named") {
  const Nowhere nowhere;
  save(nowhere / "file", {});
  const Variable cache("GRADUS_CACHE_DIR", nowhere / "file/cache");
  FashionMnistOptions options = nowhere.options();
  options.download = true;
  CHECK_THROWS_WITH(load_fashion_mnist(options), Contains("cannot make the folder " + nowhere / "file/cache"));
}
