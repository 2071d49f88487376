#include "core/safetensors.h"

#include "core/error.h"
#include "core/file.h"
#include "core/ops.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <tuple>

namespace gradus {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor data in files are little-endian");

using Json = nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::string_view kMetadataKey = "__metadata__";

struct FileType {
  std::string_view name;
  DType dtype;          // in memory
  std::uint64_t bytes;  // of one element in the file
};

// In the order in which the format's own writer sorts them.
constexpr std::array<FileType, 5> kFileTypes{{{"I64", DType::i64, 8},
                                              {"F64", DType::f64, 8},
                                              {"F32", DType::f32, 4},
                                              {"BF16", DType::bf16, 2},
                                              {"F16", DType::f32, 2}}};
constexpr std::string_view kF16 = "F16";

const FileType* find_file_type(std::string_view name) {
  const auto found = std::find_if(kFileTypes.begin(), kFileTypes.end(), [&](const auto& t) { return t.name == name; });
  return found == kFileTypes.end() ? nullptr : &*found;
}

const FileType& file_type_of(DType dtype) {
  return *std::find_if(kFileTypes.begin(), kFileTypes.end(), [&](const auto& t) { return t.dtype == dtype; });
}

/// Text from a file as it may stand in a message: quoted, ASCII, control characters escaped, of bounded length.
std::string quote(const std::string& text) {
  constexpr std::size_t kLongest = 100;
  const std::string quoted = Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
  return quoted.size() <= kLongest ? quoted : quoted.substr(0, kLongest) + "...\"";
}

/// Where in which file something is wrong; at(...).refuse(...) makes the message.
struct Place {
  const std::string& path;
  std::string where;  // 'tensor "fc.weight", field shape', or empty for the file as a whole

  [[noreturn]] void refuse(std::string_view fault, const std::string& expected, const std::string& found,
                           std::string_view hint = {}) const {
    std::string message = fmt::format("load_safetensors: \"{}\": {}", path, fault);
    if (!where.empty()) message += fmt::format("\n  at: {}", where);
    message += fmt::format("\n  expected: {}\n  found: {}", expected, found);
    if (!hint.empty()) message += fmt::format("\n  hint: {}", hint);
    fail(message);
  }
};

/// Takes the header's JSON piece by piece and accepts nothing but
///   { "__metadata__": { text: text }, name: { "dtype": text, "shape": [integers], "data_offsets": [begin, end] } }
/// so that neither depth nor junk costs memory. Called by nlohmann's parser, which fixes the names of the methods.
class HeaderReader {
 public:
  explicit HeaderReader(const std::string& path) : path_(path) {}

  SafetensorsHeader header;

  bool start_object(std::size_t) {
    switch (level_) {
      case Level::start: level_ = Level::file; break;
      case Level::file:
        if (key_ == kMetadataKey) {
          level_ = Level::metadata;
        } else {
          level_ = Level::tensor;
          tensor_ = {};
        }
        break;
      default: unexpected("an object");
    }
    return true;
  }

  bool end_object() {
    if (level_ == Level::tensor) finish_tensor();
    level_ = level_ == Level::file ? Level::end : Level::file;
    return true;
  }

  bool key(std::string& key) {
    if (level_ == Level::file) {
      if (!names_.insert(key).second) here().refuse("a name stands twice in the header", "unique names", quote(key));
      key_ = key;
    } else if (level_ == Level::metadata) {
      if (header.metadata.count(key) > 0)
        Place{path_, "__metadata__"}.refuse("a key stands twice in the metadata", "unique keys", quote(key));
      field_ = key;
    } else {
      field_ = key;
      const bool twice = (key == "dtype" && !tensor_.dtype.empty()) || (key == "shape" && tensor_.shape) ||
                         (key == "data_offsets" && tensor_.offsets);
      if (twice) here().refuse("a field stands twice", "each field once", quote(key));
      if (key != "dtype" && key != "shape" && key != "data_offsets")
        here().refuse("unknown field", "dtype, shape and data_offsets", quote(key));
    }
    return true;
  }

  bool string(std::string& text) {
    if (level_ == Level::metadata) {
      header.metadata.emplace(field_, std::move(text));
    } else if (level_ == Level::tensor && field_ == "dtype") {
      if (!find_file_type(text))
        here().refuse("unsupported element type", "F32, F64, I64, BF16 or F16", quote(text),
                      "convert the tensor before saving it");
      tensor_.dtype = std::move(text);
    } else {
      unexpected("the string " + quote(text));
    }
    return true;
  }

  bool start_array(std::size_t) {
    if (level_ != Level::tensor || field_ == "dtype") unexpected("a list");
    level_ = Level::list;
    list_.clear();
    return true;
  }

  bool number_unsigned(std::uint64_t number) {
    if (level_ != Level::list) unexpected(fmt::format("the number {}", number));
    const std::size_t most = field_ == "shape" ? kMaxRank : 2;
    if (list_.size() == most)
      here().refuse("too many numbers", field_ == "shape" ? fmt::format("at most {} axes", most) : "[begin, end]",
                    fmt::format("a list of more than {}", most));
    list_.push_back(number);
    return true;
  }

  bool end_array() {
    if (field_ == "shape") {
      tensor_.shape = list_;
    } else {
      if (list_.size() != 2)
        here().refuse("incomplete offsets", "[begin, end]", fmt::format("{} numbers", list_.size()));
      tensor_.offsets = {list_[0], list_[1]};
    }
    level_ = Level::tensor;
    return true;
  }

  bool null() { return unexpected("null"); }
  bool boolean(bool value) { return unexpected(value ? "true" : "false"); }
  bool number_integer(std::int64_t number) { return unexpected(fmt::format("the number {}", number)); }
  bool number_float(double, const std::string& text) { return unexpected("the number " + text); }
  bool binary(Json::binary_t&) { return unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const Json::exception& error) {
    const std::string text = error.what();  // "[json.exception.parse_error.101] parse error at ..."
    Place{path_, {}}.refuse(fmt::format("the header is not valid JSON at its byte {}", position), "a JSON object",
                            quote(text.substr(text.find("] ") + 2)));
  }

 private:
  enum class Level { start, file, metadata, tensor, list, end };

  struct Tensor {
    std::string dtype;
    std::optional<std::vector<std::uint64_t>> shape;
    std::optional<std::array<std::uint64_t, 2>> offsets;
  };

  Place here() const {
    switch (level_) {
      case Level::file: return {path_, quote(key_)};
      case Level::metadata: return {path_, fmt::format("__metadata__, key {}", quote(field_))};
      case Level::tensor:
      case Level::list: return {path_, fmt::format("tensor {}, field {}", quote(key_), quote(field_))};
      default: return {path_, {}};
    }
  }

  bool unexpected(const std::string& found) const {
    switch (level_) {
      case Level::start: here().refuse("the header is not a JSON object", "{...}", found);
      case Level::file: here().refuse("the entry of a tensor is not a JSON object", "{...}", found);
      case Level::metadata: here().refuse("metadata must be text", "a string", found);
      case Level::tensor:
        here().refuse("a field has a wrong value", field_ == "dtype" ? "a string" : "a list of integers", found);
      default: here().refuse("a list holds a wrong value", "an integer from 0 to 2^63 - 1", found);
    }
  }

  void finish_tensor() {
    const Place place{path_, "tensor " + quote(key_)};
    for (const auto& [field, present] :
         {std::pair{"dtype", !tensor_.dtype.empty()}, std::pair{"shape", tensor_.shape.has_value()},
          std::pair{"data_offsets", tensor_.offsets.has_value()}})
      if (!present)
        place.refuse(fmt::format("field {} is missing", field), "dtype, shape and data_offsets",
                     "no " + std::string(field));

    const auto [begin, end] = *tensor_.offsets;
    // A size of 0 does not excuse the others: strides are computed from their product.
    const std::uint64_t element = find_file_type(tensor_.dtype)->bytes;
    std::uint64_t bytes = element;
    bool is_empty = false;
    Shape shape;
    for (const std::uint64_t size : *tensor_.shape) {
      constexpr std::uint64_t kLargest = std::numeric_limits<Index>::max();
      if (size > kLargest / bytes) {
        place.refuse("the shape is too large", "a product of sizes below 2^63 bytes",
                     fmt::format("[{}]", fmt::join(*tensor_.shape, ", ")));
      }
      if (size == 0)
        is_empty = true;
      else
        bytes *= size;
      shape.push_back(static_cast<Index>(size));
    }
    if (is_empty) bytes = 0;
    if (begin > end || end - begin != bytes)
      place.refuse("offsets do not fit the shape",
                   fmt::format("{} bytes for {} {}", bytes, tensor_.dtype, to_string(shape)),
                   fmt::format("data_offsets [{}, {}]", begin, end));
    header.entries.push_back({key_, std::move(tensor_.dtype), shape, begin, end});
  }

  const std::string& path_;
  Level level_ = Level::start;
  std::set<std::string> names_;
  std::string key_;    // of the tensor
  std::string field_;  // of the tensor, or of the metadata
  Tensor tensor_;
  std::vector<std::uint64_t> list_;
};

/// The tensors must fill the data without overlap or hole: nothing hides in a file, and nothing is read twice.
void check_layout(std::vector<SafetensorsEntry>& entries, std::uint64_t data_bytes, const std::string& path) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return std::tie(a.begin, a.end) < std::tie(b.begin, b.end); });
  std::uint64_t end = 0;
  const SafetensorsEntry* before = nullptr;
  for (const auto& entry : entries) {
    if (entry.begin != end)
      Place{path, fmt::format("tensor {}, field \"data_offsets\"", quote(entry.name))}.refuse(
          entry.begin < end ? "tensors overlap" : "there is a hole between tensors",
          before ? fmt::format("begin {}, where {} ends", end, quote(before->name)) : "begin 0 for the first tensor",
          fmt::format("[{}, {}]", entry.begin, entry.end));
    end = entry.end;
    before = &entry;
  }
  const Place file{path, {}};
  const auto expected = [&] { return fmt::format("{} bytes of tensor data, as the header says", end); };
  if (data_bytes < end)
    file.refuse("the file is cut short", expected(), fmt::format("{} bytes", data_bytes),
                "an interrupted copy or download?");
  if (data_bytes > end)
    file.refuse("there is data behind the last tensor", expected(), fmt::format("{} bytes", data_bytes));
}

SafetensorsHeader read_header(InputFile& file) {
  const Place place{file.path(), {}};
  if (file.size() < kLengthBytes)
    place.refuse("the file is too short", "at least the 8 bytes of the header length",
                 fmt::format("{} bytes", file.size()), "an interrupted copy or download?");
  std::uint64_t length = 0;
  file.read(std::as_writable_bytes(std::span(&length, 1)));
  if (length > kMaxHeaderBytes)
    place.refuse("the header length is above the limit", fmt::format("at most {} bytes", kMaxHeaderBytes),
                 fmt::format("{}", length), "is this a safetensors file?");
  if (length > file.size() - kLengthBytes)
    place.refuse("the file ends within its header", fmt::format("{} bytes of header", length),
                 fmt::format("{} bytes", file.size() - kLengthBytes), "an interrupted copy or download?");

  std::string text(length, '\0');
  file.read(std::as_writable_bytes(std::span(text)));
  if (text.empty() || text[0] != '{')
    place.refuse("the header does not begin as a JSON object", "{",
                 text.empty() ? "an empty header" : quote(text.substr(0, 1)), "is this a safetensors file?");
  // The parser takes a zero byte for the end of its input.
  if (const auto zero = text.find('\0'); zero != std::string::npos)
    place.refuse("the header holds a zero byte", "JSON, padded with spaces", fmt::format("0 at byte {} of it", zero));

  HeaderReader reader(file.path());
  Json::sax_parse(text, &reader);
  check_layout(reader.header.entries, file.size() - kLengthBytes - length, file.path());
  return std::move(reader.header);
}

/// IEEE binary16 to binary32, exactly.
float from_f16(std::uint16_t half) {
  const std::uint32_t sign = std::uint32_t{half & 0x8000U} << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fU;
  const std::uint32_t mantissa = half & 0x3ffU;
  std::uint32_t bits = 0;
  if (exponent == 0x1fU) {  // infinity, NaN
    bits = sign | 0x7f800000U | (mantissa << 13);
  } else if (exponent != 0) {
    bits = sign | ((exponent + 112U) << 23) | (mantissa << 13);  // the biases are 127 and 15
  } else {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;  // zero or subnormal
    bits = sign | std::bit_cast<std::uint32_t>(magnitude);
  }
  return std::bit_cast<float>(bits);
}

std::span<std::byte> writable_bytes(const Tensor& tensor) { return {tensor.mutable_ptr<std::byte>(), tensor.bytes()}; }

Tensor read_tensor(InputFile& file, const SafetensorsEntry& entry) {
  Tensor tensor = empty(entry.shape, find_file_type(entry.dtype)->dtype);
  if (entry.dtype == kF16) {
    std::vector<std::uint16_t> halves(static_cast<std::size_t>(tensor.numel()));
    file.read(std::as_writable_bytes(std::span(halves)));
    std::transform(halves.begin(), halves.end(), tensor.mutable_data<float>().begin(), from_f16);
  } else {
    file.read(writable_bytes(tensor));
  }
  return tensor;
}

}  // namespace

SafetensorsHeader load_safetensors_header(const std::string& path) {
  InputFile file(path);
  return read_header(file);
}

NamedTensors load_safetensors(const std::string& path, Metadata* metadata) {
  InputFile file(path);
  SafetensorsHeader header = read_header(file);
  NamedTensors tensors;
  tensors.reserve(header.entries.size());
  for (auto& entry : header.entries) {  // the data lie in this order
    Tensor tensor = read_tensor(file, entry);
    tensors.push_back({std::move(entry.name), std::move(tensor)});
  }
  if (metadata) *metadata = std::move(header.metadata);
  return tensors;
}

void save_safetensors(const std::string& path, const NamedTensors& tensors, const Metadata& metadata) {
  const auto check = [&](bool holds, std::string_view fault, const std::string& name) {
    GRADUS_CHECK(holds, fmt::format("save_safetensors: \"{}\": {}\n  tensor {}", path, fault, quote(name)));
  };
  NamedTensors sorted = tensors;
  for (auto& [name, tensor] : sorted) {
    check(tensor.defined(), "an empty handle cannot be saved", name);
    check(name != kMetadataKey, "this name is reserved by the format", name);
    tensor = contiguous(tensor.detach());
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return std::tuple(&file_type_of(a.tensor.dtype()), std::string_view(a.name)) <
           std::tuple(&file_type_of(b.tensor.dtype()), std::string_view(b.name));
  });

  // Written by hand, because the members have an order, and as compactly as the format's own writer does.
  const auto json = [&](const std::string& text) {
    try {
      return Json(text).dump();
    } catch (const Json::exception&) {
      fail(fmt::format("save_safetensors: \"{}\": names and metadata must be UTF-8\n  found: {}", path, quote(text)));
    }
  };
  std::vector<std::string> members;
  if (!metadata.empty()) {
    std::vector<std::string> texts;
    for (const auto& [key, text] : metadata) texts.push_back(json(key) + ":" + json(text));
    members.push_back(fmt::format("\"{}\":{{{}}}", kMetadataKey, fmt::join(texts, ",")));
  }
  std::set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const auto& [name, tensor] : sorted) {
    check(names.insert(name).second, "two tensors have the same name", name);
    const std::uint64_t end = offset + tensor.bytes();
    members.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", json(name),
                                  file_type_of(tensor.dtype()).name,
                                  fmt::join(tensor.shape().begin(), tensor.shape().end(), ","), offset, end));
    offset = end;
  }
  std::string header = fmt::format("{{{}}}", fmt::join(members, ","));
  header.resize((header.size() + 7) / 8 * 8, ' ');  // the data begin at a multiple of 8
  const std::uint64_t length = header.size();
  GRADUS_CHECK(
      length <= kMaxHeaderBytes,
      fmt::format("save_safetensors: \"{}\": names and metadata make a header of {} bytes; at most {} are allowed",
                  path, length, kMaxHeaderBytes));

  char length_bytes[kLengthBytes];
  std::memcpy(length_bytes, &length, kLengthBytes);
  std::vector<std::string_view> parts{{length_bytes, kLengthBytes}, header};
  for (const auto& [name, tensor] : sorted) parts.emplace_back(tensor.ptr<char>(), tensor.bytes());
  write_file(path, parts);
}

}  // namespace gradus
