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

class RunFolder {
 public:
  /// Makes the folder, so that one which cannot be made is known before the work. A folder that holds a run is refused
  /// unless `overwrite`. Changes nothing in it yet.
  explicit RunFolder(std::string path, bool overwrite = false);

  /// The run begins: writes config.json and an empty metrics.jsonl. Of a run to overwrite, `outputs`, the files that
  /// the app will write later, are removed.
  void begin(const std::string& config, const std::vector<std::string>& outputs = {});

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
