// Downloads into the user's cache, by the program `curl`.
#pragma once

#include <cstdint>
#include <string>

namespace gradus::data {

/// Where downloaded files are kept: $GRADUS_CACHE_DIR, else $XDG_CACHE_HOME/gradus, else $HOME/.cache/gradus. Empty
/// when none of these variables is set.
std::string cache_dir();

/// Called several times a second with the bytes that have come so far.
struct DownloadProgress {
  void (*update)(void* context, std::int64_t bytes) = nullptr;
  void* context = nullptr;
};

/// Fetches `url` into `file`, which is overwritten. A stalled or failed transfer is an Error with curl's own words, and
/// leaves no file behind.
void download(const std::string& url, const std::string& file, DownloadProgress progress = {});

}  // namespace gradus::data
