// The files in tests/golden/safetensors were written by the format's own Python package (make.py there).
#include "core/safetensors.h"

#include "core/file.h"
#include "core/ops.h"
#include "tests/support.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

using namespace gradus;
using Catch::Matchers::Contains;
using gradus::testing::error_of;
using gradus::testing::TemporaryFolder;

namespace {

const std::string kGolden = std::string(GRADUS_SOURCE_DIR) + "/tests/golden/safetensors/";

const Tensor& find(const NamedTensors& tensors, const std::string& name) {
  for (const auto& entry : tensors)
    if (entry.name == name) return entry.tensor;
  fail("test: no tensor " + name);
}

/// A file with this header, of the length given or its own, and `data_bytes` bytes behind it.
std::string file_bytes(const std::string& header, std::size_t data_bytes, std::uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, 'd');
}
std::string file_bytes(const std::string& header, std::size_t data_bytes) {
  return file_bytes(header, data_bytes, header.size());
}

/// How a file with these bytes is refused.
std::string refusal(const std::string& bytes) {
  const TemporaryFolder folder;
  write_file(folder / "bad.safetensors", bytes);
  const std::string error = error_of([&] { load_safetensors(folder / "bad.safetensors"); });
  CHECK_THAT(error, Contains("bad.safetensors") && Contains("expected: ") && Contains("found: "));
  return error;
}
std::string refusal(const std::string& header, std::size_t data_bytes) {
  return refusal(file_bytes(header, data_bytes));
}

}  // namespace

TEST_CASE("a file of the Python package is read") {
  Metadata metadata;
  const NamedTensors tensors = load_safetensors(kGolden + "mixed.safetensors", &metadata);
  CHECK(metadata == Metadata{{"format", "pt"}});
  REQUIRE(tensors.size() == 8);

  const Tensor& weight = find(tensors, "fc.weight");
  CHECK(weight.dtype() == DType::f32);
  CHECK(weight.shape() == Shape{2, 3});
  CHECK(weight.to_vector() == std::vector<double>{1, -2.5, 3.25, 0, INFINITY, double{1e-30F}});
  CHECK(find(tensors, "fc.bias").to_vector() == std::vector<double>{0.5, -0.5});
  CHECK(find(tensors, "größe").item() == 7);
  CHECK(find(tensors, "scale").shape() == Shape{});
  CHECK(find(tensors, "scale").item() == 0.125);
  CHECK(find(tensors, "empty").shape() == Shape{0, 4});
  CHECK(find(tensors, "steps").data<Index>()[2] == Index{1} << 62);
  CHECK(find(tensors, "exact").data<double>()[0] == 1.0 / 3);
  CHECK(find(tensors, "half").dtype() == DType::bf16);
  CHECK(find(tensors, "half").shape() == Shape{2, 2, 1});
  CHECK(find(tensors, "half").data<bf16>()[1].bits == 0x4020);
  CHECK(find(tensors, "half").data<bf16>()[2].bits == 0x8000);
}

TEST_CASE("what is written equals the Python package's file byte for byte") {
  const TemporaryFolder folder;
  Metadata metadata;
  NamedTensors tensors = load_safetensors(kGolden + "mixed.safetensors", &metadata);
  std::reverse(tensors.begin(), tensors.end());
  save_safetensors(folder / "again.safetensors", tensors, metadata);
  CHECK(read_file(folder / "again.safetensors", 10'000) == read_file(kGolden + "mixed.safetensors", 10'000));
}

TEST_CASE("f16 is read as f32, exactly") {
  const Tensor x = find(load_safetensors(kGolden + "f16.safetensors"), "f16");
  CHECK(x.dtype() == DType::f32);
  const double almost = 0x1.FF8p-15;  // 6.1e-5 in f16
  CHECK(x.to_vector() == std::vector<double>{1, -1.5, 0x1p-24, almost, 65504, 0, -0.0, INFINITY});
  CHECK(std::signbit(x.data<float>()[6]));
}

TEST_CASE("a type that gradus does not have is named") {
  CHECK_THAT(error_of([] { load_safetensors(kGolden + "i32.safetensors"); }),
             Contains("i32.safetensors") && Contains("tensor \"ids\"") && Contains("found: \"I32\""));
}

TEST_CASE("the header is read without the data") {
  const SafetensorsHeader header = load_safetensors_header(kGolden + "mixed.safetensors");
  CHECK(header.metadata.at("format") == "pt");
  REQUIRE(header.entries.size() == 8);
  CHECK(header.entries[0].name == "steps");
  CHECK(header.entries[0].dtype == "I64");
  CHECK(header.entries[0].shape == Shape{3});
  CHECK(header.entries[0].begin == 0);
  CHECK(header.entries[0].end == 24);
}

TEST_CASE("every dtype survives writing and reading bit by bit") {
  const TemporaryFolder folder;
  Tensor half = empty({4}, DType::bf16);
  half.copy_(tensor({1.5, -2, 3e38, 0.1}));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const NamedTensors tensors{{"f32", from_span<float>(std::array{nan, -0.0F, 1e-45F}, {3})},
                             {"f64", tensor({1.0 / 3, 5e-324}, {1, 2}, DType::f64)},
                             {"i64", indices({std::numeric_limits<Index>::min(), -1})},
                             {"bf16", half},
                             {"scalar", scalar(2)},
                             {"nothing", zeros({3, 0})}};
  save_safetensors(folder / "x", tensors, {{"note", "\"quoted\"\n"}, {"", ""}});
  Metadata metadata;
  const NamedTensors back = load_safetensors(folder / "x", &metadata);
  CHECK(metadata == Metadata{{"note", "\"quoted\"\n"}, {"", ""}});
  REQUIRE(back.size() == tensors.size());
  for (const auto& [name, before] : tensors) {
    INFO(name);
    const Tensor& after = find(back, name);
    CHECK(after.dtype() == before.dtype());
    CHECK(after.shape() == before.shape());
    CHECK(std::memcmp(after.ptr<char>(), before.ptr<char>(), before.bytes()) == 0);
  }
}

TEST_CASE("views and parameters are written as their values") {
  const TemporaryFolder folder;
  Tensor x = tensor({1, 2, 3, 4, 5, 6}, {2, 3});
  x.requires_grad_();
  save_safetensors(folder / "x", {{"t", transpose(x)}, {"row", select(x, 0, 1)}});
  const NamedTensors back = load_safetensors(folder / "x");
  CHECK(find(back, "t").shape() == Shape{3, 2});
  CHECK(find(back, "t").to_vector() == std::vector<double>{1, 4, 2, 5, 3, 6});
  CHECK(find(back, "row").to_vector() == std::vector<double>{4, 5, 6});
}

TEST_CASE("no tensors make a valid file") {
  const TemporaryFolder folder;
  save_safetensors(folder / "x", {});
  CHECK(load_safetensors(folder / "x").empty());
}

TEST_CASE("what cannot be written is refused before the file is touched") {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  const Tensor x = scalar(1);
  CHECK_THAT(error_of([&] { save_safetensors(path, {{"a", x}, {"a", x}}); }), Contains("the same name"));
  CHECK_THAT(error_of([&] { save_safetensors(path, {{"a", Tensor()}}); }), Contains("empty handle"));
  CHECK_THAT(error_of([&] { save_safetensors(path, {{"__metadata__", x}}); }), Contains("reserved"));
  CHECK_THAT(error_of([&] { save_safetensors(path, {{"\xff", x}}); }), Contains("UTF-8"));
  CHECK_THAT(error_of([&] { save_safetensors(path, {{"a", x}}, {{"key", "\xff"}}); }), Contains("UTF-8"));
  CHECK(folder.entries() == 0);
}

TEST_CASE("a file cut anywhere is refused") {
  const TemporaryFolder folder;
  const std::string whole = read_file(kGolden + "mixed.safetensors", 10'000);
  for (std::size_t sixteenth = 0; sixteenth < 16; ++sixteenth) {
    INFO(sixteenth << "/16");
    CHECK_THAT(refusal(whole.substr(0, whole.size() * sixteenth / 16)), Contains("interrupted copy or download?"));
  }
  CHECK_THAT(refusal(whole.substr(0, whole.size() - 1)), Contains("cut short"));
  CHECK_THAT(refusal(whole + "x"), Contains("data behind the last tensor"));
}

TEST_CASE("header lengths that lie are refused before anything is allocated") {
  CHECK_THAT(refusal(file_bytes("{}", 0, 100'000'001)), Contains("above the limit") && Contains("100000001"));
  CHECK_THAT(refusal(file_bytes("{}", 0, std::numeric_limits<std::uint64_t>::max())), Contains("above the limit"));
  CHECK_THAT(refusal(file_bytes("{}", 0, 3)), Contains("ends within its header"));
  CHECK_THAT(refusal(file_bytes("", 0)), Contains("does not begin as a JSON object"));
}

TEST_CASE("tensors must fill the data without overlap or hole") {
  const auto two = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)" + a +
           R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + b + "}}";
  };
  CHECK_THAT(refusal(two("[0,8]", "[4,12]"), 12), Contains("overlap") && Contains("begin 8, where \"a\" ends"));
  CHECK_THAT(refusal(two("[0,8]", "[0,8]"), 8), Contains("overlap"));
  CHECK_THAT(refusal(two("[0,8]", "[12,20]"), 20), Contains("hole") && Contains("tensor \"b\""));
  CHECK_THAT(refusal(two("[4,12]", "[12,20]"), 20), Contains("hole") && Contains("begin 0"));
  CHECK_THAT(refusal(two("[0,8]", "[8,16]"), 15), Contains("cut short"));
  CHECK_THAT(refusal(two("[0,8]", "[8,16]"), 17), Contains("behind the last tensor"));

  const TemporaryFolder folder;  // the order of the names is free
  write_file(folder / "x", file_bytes(two("[8,16]", "[0,8]"), 16));
  CHECK(load_safetensors(folder / "x")[0].name == "b");
}

TEST_CASE("offsets must fit the shape, and no product may overflow") {
  const auto one = [](const std::string& shape, const std::string& offsets) {
    return R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  CHECK_THAT(refusal(one("[2]", "[0,4]"), 4), Contains("8 bytes for F32 [2]") && Contains("data_offsets [0, 4]"));
  CHECK_THAT(refusal(one("[]", "[0,0]"), 0), Contains("4 bytes for F32 []"));
  CHECK_THAT(refusal(one("[1]", "[8,4]"), 8), Contains("do not fit"));
  CHECK_THAT(refusal(one("[4294967296,4294967296]", "[0,0]"), 0), Contains("too large"));
  CHECK_THAT(refusal(one("[0,4294967296,4294967296]", "[0,0]"), 0), Contains("too large"));
  CHECK_THAT(refusal(one("[9223372036854775808]", "[0,0]"), 0), Contains("too large"));
  CHECK_THAT(refusal(one("[18446744073709551616]", "[0,0]"), 0), Contains("an integer from 0"));
  CHECK_THAT(refusal(one("[-1]", "[0,4]"), 4), Contains("found: the number -1"));
  CHECK_THAT(refusal(one("[1.0]", "[0,4]"), 4), Contains("an integer from 0") && Contains("1.0"));
  CHECK_THAT(refusal(one("[1,1,1,1,1,1,1]", "[0,4]"), 4), Contains("at most 6 axes"));
  CHECK_THAT(refusal(one("[1]", "[0]"), 4), Contains("incomplete offsets"));
  CHECK_THAT(refusal(one("[1]", "[0,4,8]"), 4), Contains("[begin, end]"));
  CHECK_THAT(refusal(one("[1]", "[-4,0]"), 4), Contains("the number -4"));
}

TEST_CASE("a header that is not exactly of the format is refused") {
  const std::string a = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  CHECK_THAT(refusal("{" + a + "," + a + "}", 4), Contains("twice") && Contains("\"a\""));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,4]}})", 4), Contains("twice"));
  CHECK_THAT(refusal(R"({"__metadata__":{"k":"1","k":"2"},)" + a + "}", 4), Contains("twice") && Contains("\"k\""));
  CHECK_THAT(refusal(R"({"__metadata__":{},"__metadata__":{}})", 0), Contains("twice"));
  CHECK_THAT(refusal(R"({"__metadata__":{"k":1}})", 0), Contains("metadata must be text") && Contains("the number 1"));
  CHECK_THAT(refusal(R"({"__metadata__":{"k":{}}})", 0), Contains("metadata must be text"));
  CHECK_THAT(refusal(R"({"__metadata__":"text"})", 0), Contains("\"text\""));
  CHECK_THAT(refusal(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4), Contains("field dtype is missing"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4), Contains("field shape is missing"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1]}})", 4), Contains("field data_offsets is missing"));
  CHECK_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1}})", 4),
             Contains("unknown field"));
  CHECK_THAT(refusal(R"({"a":{"dtype":7}})", 4), Contains("field \"dtype\"") && Contains("a string"));
  CHECK_THAT(refusal(R"({"a":{"dtype":["F32"]}})", 4), Contains("a string"));
  CHECK_THAT(refusal(R"({"a":{"shape":"1"}})", 4), Contains("a list of integers"));
  CHECK_THAT(refusal(R"({"a":{"shape":null}})", 4), Contains("null"));
  CHECK_THAT(refusal(R"({"a":{"shape":[[1]]}})", 4), Contains("a list"));
  CHECK_THAT(refusal(R"({"a":[]})", 4), Contains("the entry of a tensor"));
  CHECK_THAT(refusal("{" + a + "} {}", 4), Contains("not valid JSON"));
  CHECK_THAT(refusal("{" + a, 4), Contains("not valid JSON"));
  CHECK_THAT(refusal(" {" + a + "}", 4), Contains("does not begin"));
  CHECK_THAT(refusal("{" + a + "}" + std::string("\0 {", 3), 4), Contains("zero byte"));
  CHECK_THAT(refusal("{\"\xff\":{}}", 4), Contains("not valid JSON"));
  CHECK_THAT(refusal("{" + std::string(100'000, '['), 4), Contains("not valid JSON"));
  CHECK_THAT(refusal("{\"a\":" + std::string(100'000, '['), 4), Contains("the entry of a tensor"));
}

TEST_CASE("names from files cannot disturb the terminal") {
  const std::string error = refusal("{\"\\u001b[31m" + std::string(5'000, 'x') + "\":7}", 0);
  CHECK(error.find('\x1b') == std::string::npos);
  CHECK(error.size() < 1'000);
}
