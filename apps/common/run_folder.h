// The folder a run leaves behind: config.json (resolved settings), metrics.jsonl (one JSON object a line, the last one
// {"event":"final", ...}), and whatever else the app saves there.
#pragma once

#include "core/file.h"

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace gradus::apps {

/// The first of base-1, base-2, ... that holds no run yet.
std::string next_run_folder(const std::string& base);

struct RunFolderOptions {
  bool overwrite = false;
  std::vector<std::string> outputs;  // files the app will write besides; --overwrite removes those of the old run
};

class RunFolder {
 public:
  /// Makes the folder and writes `config` into it: fails before the training rather than after it when the folder is
  /// not writable or the disk is full. A folder that holds a run is refused, untouched, unless `overwrite`.
  RunFolder(std::string path, const std::string& config, const RunFolderOptions& options = {});

  const std::string& path() const { return path_; }
  /// The path of a file inside.
  std::string file(const std::string& name) const;

  /// Appends one line to metrics.jsonl and hands it to the system. When that fails, the file keeps its whole lines and
  /// an Error says why. Numbers are written so that reading gives the same bits; one that is not finite becomes null.
  void log(const nlohmann::ordered_json& line);

 private:
  std::string path_;
  detail::Descriptor metrics_;
};

}  // namespace gradus::apps
