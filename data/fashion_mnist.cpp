#include "data/fashion_mnist.h"

#include "core/error.h"
#include "data/download.h"
#include "data/idx.h"
#include "data/sha256.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace gradus::data {

namespace {

namespace fs = std::filesystem;

struct File {
  std::string_view name;
  std::string_view sha256;    // of the unpacked bytes: packed ones differ between distributors
  std::size_t bytes;          // unpacked
  std::int64_t packed_bytes;  // as published
};

constexpr File kTrainImages = {"train-images-idx3-ubyte",
                               "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888", 47040016, 26421880};
constexpr File kTrainLabels = {"train-labels-idx1-ubyte",
                               "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", 60008, 29515};
constexpr File kTestImages = {"t10k-images-idx3-ubyte",
                              "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", 7840016, 4422102};
constexpr File kTestLabels = {"t10k-labels-idx1-ubyte",
                              "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", 10008, 5148};
constexpr std::array kFiles = {kTrainImages, kTrainLabels, kTestImages, kTestLabels};

// --- finding
// -----------------------------------------------------------------------------------------------------------

struct Place {
  std::string dir;
  std::string what;  // how it came to be looked at
};

std::vector<Place> places(const FashionMnistOptions& options) {
  if (!options.dir.empty()) return {{options.dir, "the folder that was asked for"}};
  std::vector<Place> list;
  if (const char* dir = std::getenv("GRADUS_DATA_DIR"); dir && *dir) {
    list.push_back({fmt::format("{}/fashion-mnist", dir), "GRADUS_DATA_DIR"});
    list.push_back({dir, "GRADUS_DATA_DIR"});
  }
  if (const std::string dir = cache_dir(); !dir.empty()) list.push_back({dir + "/fashion-mnist", "the user's cache"});
  list.push_back({options.system_dir, "the package dataset-fashion-mnist"});
  return list;
}

// The file in a folder, plain or packed; empty if neither is there.
std::string find(const std::string& dir, const File& file) {
  const std::string plain = fmt::format("{}/{}", dir, file.name);
  std::error_code ignored;
  for (const std::string& path : {plain, plain + ".gz"})
    if (fs::exists(path, ignored)) return path;
  return "";
}

// What is wrong with a folder; empty if it has all four files.
std::string lack(const std::string& dir) {
  std::error_code ignored;
  if (!fs::is_directory(dir, ignored)) return "no such folder";
  std::string missing;
  for (const File& file : kFiles)
    if (find(dir, file).empty()) missing += fmt::format("{}{}", missing.empty() ? "lacks " : ", ", file.name);
  return missing;
}

[[noreturn]] void fail_missing(const std::vector<Place>& looked_at, const std::string& download_error) {
  std::string message = "fashion_mnist: the data set was not found";
  for (const auto& [dir, what] : looked_at) message += fmt::format("\n  {} ({}): {}", dir, what, lack(dir));
  if (!download_error.empty()) message += fmt::format("\n  {}", download_error);
  message +=
      "\n  needs train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and "
      "t10k-labels-idx1-ubyte in one folder, plain or .gz"
      "\n  hint: install the Debian package dataset-fashion-mnist, or name the folder with --data or GRADUS_DATA_DIR";
  fail(message);
}

// --- reading
// -----------------------------------------------------------------------------------------------------------

void check_published(const std::string& path, const File& file, const std::string& sum) {
  GRADUS_CHECK(sum == file.sha256,
               fmt::format("fashion_mnist: {} is not the published file\n  SHA-256 of its unpacked bytes: {}\n  "
                           "expected: {}\n  hint: if it is damaged, delete it and fetch it again; a set of your own is "
                           "accepted from the folder named with --data",
                           path, sum, file.sha256));
}

// Reads one file; `original` is cleared if it is not the published one.
IdxArray read_part(const std::string& path, const File& file, int rank, bool allow_other, bool& original) {
  Bytes content = read_unpacked(path, allow_other ? kMaxIdxBytes : file.bytes);
  const std::string sum = sha256(content);
  IdxArray array = parse_idx(std::move(content), rank, path);  // first: it can say more about what is wrong
  if (!allow_other) check_published(path, file, sum);
  original = original && sum == file.sha256;
  return array;
}

ImageDataset read_images(const std::string& dir, const File& image_file, const File& label_file, bool allow_other,
                         bool& original) {
  const std::string image_path = find(dir, image_file);
  const std::string label_path = find(dir, label_file);
  IdxArray pixels = read_part(image_path, image_file, 3, allow_other, original);
  IdxArray labels = read_part(label_path, label_file, 1, allow_other, original);
  GRADUS_CHECK(pixels.shape[1] == kFashionMnistSide && pixels.shape[2] == kFashionMnistSide,
               fmt::format("fashion_mnist: {} has images of another size\n  expected {} x {} pixels, found {} x {}",
                           image_path, kFashionMnistSide, kFashionMnistSide, pixels.shape[1], pixels.shape[2]));
  Images images{pixels.shape[0], pixels.shape[1], pixels.shape[2], std::move(pixels.values), std::move(labels.values)};
  check_images(images, kFashionMnistClasses.size(), image_path, label_path);
  return {std::move(images), kFashionMnistNormalization};
}

// --- downloading
// -------------------------------------------------------------------------------------------------------

struct Total {
  const FashionMnistOptions& options;
  std::int64_t before;  // bytes of the files that are complete
};

// Each file comes under a temporary name, and gets its own when its bytes are the published ones.
void download_into(const std::string& dir, const FashionMnistOptions& options) {
  std::error_code error;
  fs::create_directories(dir, error);
  GRADUS_CHECK(!error, fmt::format("download: cannot make the folder {}: {}", dir, error.message()));
  Total total{options, 0};
  DownloadProgress progress;
  if (options.progress) {
    progress.context = &total;
    progress.update = [](void* context, std::int64_t bytes) {
      const auto& [user, before] = *static_cast<const Total*>(context);
      std::int64_t all = 0;
      for (const File& file : kFiles) all += file.packed_bytes;
      user.progress(user.progress_context, before + bytes, all);
    };
  }
  for (const File& file : kFiles) {
    if (find(dir, file).empty()) {
      const std::string path = fmt::format("{}/{}.gz", dir, file.name);
      const std::string part = fmt::format("{}.part-{}", path, ::getpid());
      const std::string url = fmt::format("{}/{}.gz", options.url, file.name);
      download(url, part, progress);
      try {
        check_published(url, file, sha256(read_unpacked(part, file.bytes)));
        fs::rename(part, path);
      } catch (...) {
        fs::remove(part, error);
        throw;
      }
    }
    total.before += file.packed_bytes;
  }
}

// The folder to read from, after a download if there is no other way.
std::string locate(const FashionMnistOptions& options) {
  const std::vector<Place> list = places(options);
  for (const Place& place : list)
    if (lack(place.dir).empty()) return place.dir;
  const std::string cache = cache_dir();
  if (!options.download || !options.dir.empty() || cache.empty()) fail_missing(list, "");
  try {
    download_into(cache + "/fashion-mnist", options);
  } catch (const std::exception& error) {
    fail_missing(list, error.what());
  }
  return cache + "/fashion-mnist";
}

}  // namespace

FashionMnist load_fashion_mnist(const FashionMnistOptions& options) {
  const std::string dir = locate(options);
  bool original = true;
  ImageDataset train = read_images(dir, kTrainImages, kTrainLabels, options.allow_other, original);
  ImageDataset test = read_images(dir, kTestImages, kTestLabels, options.allow_other, original);
  return {std::move(train), std::move(test), dir, original};
}

}  // namespace gradus::data
