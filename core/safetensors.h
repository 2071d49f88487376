// Weight files in safetensors format (https://github.com/huggingface/safetensors, "Format"): eight bytes of header
// length, a JSON header with the place of each tensor, then the raw little-endian data. docs/adr/0008-file-format.md
// says why.
#pragma once

#include "core/named.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gradus {

/// Free text in the header, under "__metadata__".
using Metadata = std::map<std::string, std::string>;

/// What the header says of one tensor.
struct SafetensorsEntry {
  std::string name;
  std::string dtype;  // as in the file: "F32", "F64", "I64", "BF16" or "F16"
  Shape shape;
  std::uint64_t begin = 0;  // [begin, end) in bytes from the start of the data
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  Metadata metadata;
  std::vector<SafetensorsEntry> entries;  // in the order of the data
};

/// Reads and checks the header, and that the file is exactly as long as it says. Costs no more memory than the header.
SafetensorsHeader load_safetensors_header(const std::string& path);

/// All tensors, in the order of the data. F16 becomes f32; F32, F64, I64 and BF16 keep their type; other types, more
/// than six axes, and every flaw of the file are an Error that names the file, the tensor, the field, what was expected
/// and what was found. `metadata`, if given, receives the free text.
NamedTensors load_safetensors(const std::string& path, Metadata* metadata = nullptr);

/// Writes the tensors as the format's own writer does: wider types first, then by name. The file appears under `path`
/// only when complete (see write_file). Names must be unique; tensors that are not dense are copied first.
void save_safetensors(const std::string& path, const NamedTensors& tensors, const Metadata& metadata = {});

}  // namespace gradus
