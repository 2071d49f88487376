// The app as a user meets it: what it leaves behind, and what it says to bad input.
#include "apps/common/png.h"
#include "core/safetensors.h"
#include "tests/apps/program.h"
#include "tests/data/fixtures.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <sstream>

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::Contains;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMany = 16 << 20;
constexpr std::uint32_t kSide = 28;

/// Images that are easy to tell apart: class c is a bright bar in rows 2c + 4 and 2c + 5, with some noise.
std::vector<std::uint8_t> bars(std::uint32_t count) {
  std::vector<std::uint8_t> pixels;
  std::uint32_t noise = 1;
  for (std::uint32_t i = 0; i < count; ++i)
    for (std::uint32_t p = 0; p < kSide * kSide; ++p) {
      noise = noise * 1664525 + 1013904223;
      const bool bar = p / kSide / 2 == i % 10 + 2;
      pixels.push_back(static_cast<std::uint8_t>((bar ? 180 : 0) + (noise >> 26)));
    }
  return pixels;
}

std::vector<std::uint8_t> classes(std::uint32_t count) {
  std::vector<std::uint8_t> labels;
  for (std::uint32_t i = 0; i < count; ++i) labels.push_back(static_cast<std::uint8_t>(i % 10));
  return labels;
}

const std::string kImages = "train-images-idx3-ubyte", kLabels = "train-labels-idx1-ubyte";

/// A data set of that format in folder/data: 200 images to train, 50 to test.
void make_data(const TemporaryFolder& folder) {
  fs::create_directory(folder / "data");
  save(folder / ("data/" + kImages), idx({200, kSide, kSide}, bars(200)));
  save(folder / ("data/" + kLabels), idx({200}, classes(200)));
  save(folder / "data/t10k-images-idx3-ubyte.gz", gzip(idx({50, kSide, kSide}, bars(50))));
  save(folder / "data/t10k-labels-idx1-ubyte.gz", gzip(idx({50}, classes(50))));
}

/// Arguments for a short training on it.
std::vector<std::string> training(const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments = {"--data", "data", "--hidden", "16", "--epochs", "8", "--batch-size", "20"};
  if (std::find(more.begin(), more.end(), "--out") == more.end()) arguments.insert(arguments.end(), {"--out", "run"});
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Outcome fashion_mnist(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
                      const ProgramOptions& options = {}) {
  return run_program(folder, "fashion_mnist", arguments, options);
}

std::vector<Json> metrics(const TemporaryFolder& folder, const std::string& run = "run") {
  std::istringstream lines(read_file(folder / (run + "/metrics.jsonl"), kMany));
  std::vector<Json> result;
  for (std::string line; std::getline(lines, line);) result.push_back(Json::parse(line));
  return result;
}

std::string weights(const TemporaryFolder& folder, const std::string& run = "run") {
  return read_file(folder / (run + "/model.safetensors"), kMany);
}

/// Exactly one message: a line that begins with the app's name, then only indented ones.
void check_one_message(const std::string& err) {
  CAPTURE(err);
  REQUIRE_THAT(err, Catch::Matchers::StartsWith("fashion_mnist: "));
  CHECK(err.back() == '\n');
  for (std::size_t at = err.find('\n'); at + 1 < err.size(); at = err.find('\n', at + 1))
    CHECK_THAT(err.substr(at + 1, 2), Catch::Matchers::Equals("  "));
}

}  // namespace

TEST_CASE("a training leaves a whole run folder") {
  const TemporaryFolder folder;
  make_data(folder);
  const Outcome outcome = fashion_mnist(folder, training());
  CHECK(outcome.err == "");
  REQUIRE(outcome.code == 0);
  CHECK(outcome.out.find('\x1b') == std::string::npos);  // no terminal: plain lines
  CHECK(outcome.out.find('\r') == std::string::npos);
  CHECK(std::count(outcome.out.begin(), outcome.out.end(), '\n') >= 10);

  const std::vector<Json> lines = metrics(folder);
  REQUIRE(lines.size() == 10);
  CHECK(lines[0]["event"] == "start");
  CHECK(lines[0]["original_data"] == false);
  for (const char* key :
       {"train_loss", "train_accuracy", "test_loss", "test_accuracy", "images_per_second", "peak_bytes"}) {
    CAPTURE(key);
    CHECK(lines[3].at(key).is_number());
  }
  CHECK(lines[3]["epoch"] == 3);
  const Json& last = lines.back();
  CHECK(last["event"] == "final");
  CHECK(last["seconds"].get<double>() > 0);
  CHECK(last["test_accuracy"].get<double>() > 0.9);
  char line[64];
  std::snprintf(line, sizeof line, "test accuracy: %.4f\n", last["test_accuracy"].get<double>());
  CHECK_THAT(outcome.out, Catch::Matchers::EndsWith(line));

  const Json config = Json::parse(read_file(folder / "run/config.json", kMany));
  CHECK(config["hidden"] == Json({16}));
  CHECK(config["epochs"] == 8);
  CHECK(config["lr"].get<double>() > 0);  // resolved, though not given
  CHECK(load_safetensors_header(folder / "run/model.safetensors").entries.size() == 4);
  for (const char* name : {"curves", "confusion", "samples"}) {
    CHECK(fs::exists(folder / ("run/plots/" + std::string(name) + ".tsv")));
    CHECK(fs::exists(folder / ("run/plots/" + std::string(name) + ".gp")));
  }

  SECTION("which --eval-only measures again") {
    const Outcome again = fashion_mnist(folder, {"--eval-only", "--checkpoint", "run", "--data", "data", "--quiet"});
    CHECK(again.code == 0);
    CHECK(again.out == line);
    CHECK(fashion_mnist(folder, {"--eval_only", "--checkpoint=run/model.safetensors", "--data=data", "--quiet"}).out ==
          line);
  }
  SECTION("which classifies pictures") {
    const std::vector<std::uint8_t> pixels = bars(10);
    for (const int truth : {0, 7}) {
      std::vector<std::uint8_t> picture(pixels.begin() + truth * 784, pixels.begin() + (truth + 1) * 784);
      apps::write_png(folder / "mine.png", {28, 28, 1, picture});
      const Outcome predicted = fashion_mnist(folder, {"predict", "mine.png", "--checkpoint", "run"});
      CHECK(predicted.code == 0);
      CHECK_THAT(predicted.out, Catch::Matchers::StartsWith(truth == 0 ? "T-shirt/top" : "Sneaker"));
      CHECK(std::count(predicted.out.begin(), predicted.out.end(), '\n') == 3);
    }
  }
  SECTION("which is not overwritten unless told to") {
    const std::string before = weights(folder);
    const Outcome refused = fashion_mnist(folder, training({"--seed", "2"}));
    CHECK(refused.code == 1);
    check_one_message(refused.err);
    CHECK_THAT(refused.err, Contains("holds a finished run (test accuracy"));
    CHECK(weights(folder) == before);
    CHECK(fashion_mnist(folder, training({"--seed", "2", "--overwrite"})).code == 0);
    CHECK(weights(folder) != before);
  }
}

TEST_CASE("without gnuplot a run succeeds and one line says what is missing") {
  const TemporaryFolder folder;
  make_data(folder);
  const Outcome outcome = fashion_mnist(folder, training({"--epochs", "1"}), {.environment = {"PATH=/nowhere"}});
  CHECK(outcome.code == 0);
  CHECK(outcome.err == "");
  CHECK_THAT(outcome.out,
             Contains("\nsome pictures are missing: gnuplot is not installed (Debian: gnuplot-nox); their data "
                      "and scripts are in run/plots\n"));
  CHECK(fs::exists(folder / "run/plots/samples.gp"));
  CHECK_FALSE(fs::exists(folder / "run/samples.png"));
}

TEST_CASE("the same seed gives the same weights for any number of threads") {
  const TemporaryFolder folder;
  make_data(folder);
  const auto run = [&](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = training({"--out", out, "--quiet"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    // Batches of 100 and wide layers: work that is really cut up.
    arguments.insert(arguments.end(), {"--hidden", "256,64", "--batch-size", "100", "--epochs", "2"});
    REQUIRE(fashion_mnist(folder, arguments).code == 0);
    return weights(folder, out);
  };
  const std::string one = run("one", {"--threads", "1"});
  CHECK(run("two", {"--threads", "2"}) == one);
  CHECK(run("three", {"--threads", "3"}) == one);
  CHECK(run("again", {"--threads", "1"}) == one);
  CHECK(run("other", {"--threads", "1", "--seed", "2"}) != one);
}

TEST_CASE("every optimizer and schedule that the help names trains") {
  const TemporaryFolder folder;
  make_data(folder);
  for (const char* optimizer : {"sgd", "adam", "adamw"}) {
    CAPTURE(optimizer);
    CHECK(fashion_mnist(folder, training({"--out", optimizer, "--optimizer", optimizer, "--quiet"})).code == 0);
  }
  CHECK(fashion_mnist(folder, training({"--out", "line", "--quiet", "--schedule", "constant"})).code == 0);
  const Outcome linear =
      fashion_mnist(folder, {"--data", "data", "--model", "linear", "--epochs", "1", "--out", "linear"});
  CHECK(linear.code == 0);
  CHECK_THAT(linear.out, Contains("784-10: 7,850 parameters"));
}

TEST_CASE("wrong usage: exit code 2, one message, the valid names") {
  const TemporaryFolder folder;
  struct Case {
    std::vector<std::string> arguments;
    std::string message;
  };
  const std::vector<Case> cases = {
      {{"--epoch", "3"}, "unknown flag '--epoch'\n  did you mean '--epochs'?\n  valid: --model --hidden"},
      {{"--epochs", "many"}, "--epochs: 'many' is not a whole number"},
      {{"--epochs", "0"}, "--epochs: 0 is out of range"},
      {{"--epochs"}, "--epochs: the value is missing"},
      {{"--lr", "-1"}, "--lr: -1 is out of range: must be a number above 0"},
      {{"--lr", "nan"}, "--lr: 'nan' is not a number"},
      {{"--hidden", "512,x"}, "--hidden: 'x' is not a whole number"},
      {{"--hidden", "64", "--model", "linear"}, "--model linear has no --hidden layers"},
      {{"--model", "mpl"}, "--model: unknown name 'mpl'\n  did you mean 'mlp'?\n  valid: mlp, linear"},
      {{"--optimizer", "adamww"}, "unknown name 'adamww'\n  did you mean 'adamw'?\n  valid: "},
      {{"--schedule", "none"}, "--schedule: unknown name 'none'"},
      {{"--opt", "momentum"}, "key=value"},
      {{"--opt", "momentun=0.9", "--optimizer", "sgd"}, "momentun"},
      {{"--eval-only"}, "--checkpoint RUN is needed"},
      {{"--checkpoint", "run"}, "--checkpoint needs --eval-only or predict"},
      {{"predict"}, "FILE is required"},
      {{"predict", "a.png"}, "--checkpoint RUN is needed"},
      {{"predict", "a.png", "b.png"}, "unexpected argument 'b.png'"},
      {{"--epochs", "2", "predict", "a.png"}, "--epochs does not belong to 'predict'"},
      {{"prdict", "a.png"}, "unknown command 'prdict'\n  did you mean 'predict'?"},
  };
  for (const auto& [arguments, message] : cases) {
    CAPTURE(arguments);
    const Outcome outcome = fashion_mnist(folder, arguments);
    CHECK(outcome.code == 2);
    CHECK(outcome.out == "");
    check_one_message(outcome.err);
    CHECK_THAT(outcome.err, Contains(message));
    CHECK_THAT(outcome.err, Catch::Matchers::EndsWith("try 'fashion_mnist --help'\n"));
  }
  CHECK_FALSE(fs::exists(folder / "runs"));
}

TEST_CASE("--help and --version go to standard output") {
  const TemporaryFolder folder;
  const Outcome help = fashion_mnist(folder, {"--help"});
  CHECK(help.code == 0);
  CHECK(help.err == "");
  for (const char* text : {"Model:", "Training:", "--hidden N,N,...", "[512,256]", "predict"})
    CHECK_THAT(help.out, Contains(text));
  CHECK_THAT(fashion_mnist(folder, {"predict", "--help"}).out, Contains("FILE"));
  CHECK_THAT(fashion_mnist(folder, {"--version"}).out, Contains("0.1"));
}

TEST_CASE("bad data: exit code 1, one message that names the fault") {
  const TemporaryFolder folder;
  make_data(folder);
  const auto image_bytes = idx({200, kSide, kSide}, bars(200));
  auto labels = classes(200);
  labels[123] = 10;
  const auto cut = [](std::vector<std::uint8_t> bytes, std::size_t size) { return bytes.resize(size), bytes; };
  struct Case {
    std::string file;
    std::vector<std::uint8_t> bytes;
    std::string message;
  };
  const std::vector<Case> cases = {
      {kImages, cut(image_bytes, 5000), kImages},
      {kImages, cut(image_bytes, 10), kImages},
      {kImages, {}, kImages},
      {kImages, idx({4'000'000'000, kSide, kSide}, bars(1)), kImages},
      {kImages, idx({199, kSide, kSide}, bars(200)), kImages},
      {kImages, idx({200, 27, kSide}, cut(bars(200), 200 * 27 * 28)), "28"},
      {kImages, {'P', 'K', 3, 4, 5, 6, 7, 8}, kImages},
      {kImages, cut(gzip(image_bytes), 3000), kImages},
      {kImages, gzip(std::vector<std::uint8_t>(64 << 20)), kImages},
      {kLabels, idx({200}, labels), "123"},
      {kLabels, idx({100}, classes(100)), "100"},
  };
  for (const auto& [file, bytes, message] : cases) {
    const auto good = read_file(folder / ("data/" + file), kMany);
    save(folder / ("data/" + file), bytes);
    const Outcome outcome = fashion_mnist(folder, training());
    CHECK(outcome.code == 1);
    check_one_message(outcome.err);
    CHECK_THAT(outcome.err, Contains(message));
    CHECK_FALSE(fs::exists(folder / "run/model.safetensors"));
    write_file(folder / ("data/" + file), good);
  }
  fs::remove(folder / ("data/" + kImages));
  CHECK(fs::is_empty(folder / "run"));
  const Outcome missing = fashion_mnist(folder, training());
  CHECK(missing.code == 1);
  check_one_message(missing.err);
  CHECK_THAT(missing.err, Contains("lacks " + kImages));
}

TEST_CASE("bad checkpoints and pictures: exit code 1, one message") {
  const TemporaryFolder folder;
  make_data(folder);
  REQUIRE(fashion_mnist(folder, training({"--epochs", "1"})).code == 0);
  apps::write_png(folder / "good.png", {28, 28, 1, std::vector<std::uint8_t>(784)});
  const std::string good = read_file(folder / "good.png", kMany);
  write_file(folder / "cut.png", good.substr(0, good.size() / 2));
  write_file(folder / "text.png", "this is no picture at all");
  apps::write_png(folder / "wide.png", {4097, 1, 1, std::vector<std::uint8_t>(4097)});
  write_file(folder / "large.png", "");
  fs::resize_file(folder / "large.png", apps::kMaxPngFile + 1);
  write_file(folder / "cut.safetensors", weights(folder).substr(0, 20'000));
  save_safetensors(folder / "other.safetensors", {{"h.0.attn.weight", ones({3, 3})}});
  save_safetensors(folder / "narrow.safetensors", {{"0.weight", ones({10, 100})}, {"0.bias", ones({10})}});
  fs::create_directory(folder / "empty");

  struct Case {
    std::vector<std::string> arguments;
    std::string message;
  };
  const std::vector<Case> cases = {
      {{"predict", "none.png", "--checkpoint", "run"}, "none.png"},
      {{"predict", "data", "--checkpoint", "run"}, "it is a folder"},
      {{"predict", "cut.png", "--checkpoint", "run"}, "truncated PNG"},
      {{"predict", "text.png", "--checkpoint", "run"}, "not a PNG"},
      {{"predict", "wide.png", "--checkpoint", "run"}, "4097 x 1 pixels; at most"},
      {{"predict", "large.png", "--checkpoint", "run"}, "at most 16777216 are allowed"},
      {{"predict", "good.png", "--checkpoint", "nowhere"}, "nowhere"},
      {{"predict", "good.png", "--checkpoint", "empty"}, "holds no model.safetensors"},
      {{"predict", "good.png", "--checkpoint", "cut.safetensors"}, "cut.safetensors"},
      {{"predict", "good.png", "--checkpoint", "good.png"}, "good.png"},
      {{"predict", "good.png", "--checkpoint", "other.safetensors"}, "not a classifier of this app"},
      {{"predict", "good.png", "--checkpoint", "narrow.safetensors"}, "[10, 100]"},
      {{"--eval-only", "--checkpoint", "run", "--data", "data", "--hidden", "32"}, "[16, 784]"},
      {{"--eval-only", "--checkpoint", "run", "--data", "data", "--model", "linear"}, "2.weight"},
  };
  for (const auto& [arguments, message] : cases) {
    CAPTURE(arguments);
    const Outcome outcome = fashion_mnist(folder, arguments);
    CHECK(outcome.code == 1);
    CHECK(outcome.out == "");
    check_one_message(outcome.err);
    CHECK_THAT(outcome.err, Contains(message));
  }
}

TEST_CASE("no room and no permission: exit code 1, one message, what was there stays") {
  const TemporaryFolder folder;
  make_data(folder);
  write_file(folder / "file", "mine");

  SECTION("the run folder cannot be made") {
    for (const char* out : {"file", "file/run", "/proc/run"}) {
      CAPTURE(out);
      const Outcome outcome = fashion_mnist(folder, training({"--out", out}));
      CHECK(outcome.code == 1);
      check_one_message(outcome.err);
      CHECK_THAT(outcome.err, Contains("cannot make the run folder \"" + std::string(out) + "\""));
    }
    CHECK(read_file(folder / "file", kMany) == "mine");
  }
  SECTION("the disk is full when the weights are saved") {
    const Outcome outcome = fashion_mnist(folder, training(), {.file_size_limit = 20'000});
    CHECK(outcome.code == 1);
    check_one_message(outcome.err);
    CHECK_THAT(outcome.err, Contains("cannot write \"run/model.safetensors\""));
    CHECK_FALSE(fs::exists(folder / "run/model.safetensors"));
    for (const auto& entry : fs::directory_iterator(folder / "run"))
      CHECK(entry.path().filename().string().find("tmp") == std::string::npos);
  }
  SECTION("the disk is full at once: an old run keeps everything") {
    REQUIRE(fashion_mnist(folder, training({"--epochs", "1"})).code == 0);
    const std::string before = weights(folder);
    const Outcome outcome = fashion_mnist(folder, training({"--overwrite"}), {.file_size_limit = 10});
    CHECK(outcome.code == 1);
    CHECK(weights(folder) == before);
    CHECK(metrics(folder).back()["event"] == "final");
  }
  SECTION("standard output is full") { CHECK(fashion_mnist(folder, {"--help"}, {.file_size_limit = 10}).code == 1); }
}

TEST_CASE("a loss that is not finite stops the run and keeps the last good weights") {
  const TemporaryFolder folder;
  make_data(folder);
  SECTION("at once") {
    const Outcome outcome = fashion_mnist(folder, training({"--optimizer", "sgd", "--lr", "1e30"}));
    CHECK(outcome.code == 1);
    check_one_message(outcome.err);
    CHECK_THAT(outcome.err, Contains("the loss is") && Contains("at step ") && Contains("lr ") &&
                                Contains("gradient norm of the step before ") && Contains("no weights were saved yet"));
    CHECK(metrics(folder).back()["event"] == "not_finite");
    CHECK_FALSE(fs::exists(folder / "run/model.safetensors"));
  }
  SECTION("after good epochs") {
    // Every epoch is one step, and the weights grow for some of them before they overflow.
    const Outcome outcome = fashion_mnist(folder, training({"--optimizer", "sgd", "--lr", "1e6", "--epochs", "1000",
                                                            "--schedule", "constant", "--batch-size", "200"}));
    CHECK(outcome.code == 1);
    check_one_message(outcome.err);
    CHECK_THAT(outcome.err, Contains("\"run/model.safetensors\" holds the weights of the last good epoch"));
    for (const auto& [name, tensor] : load_safetensors(folder / "run/model.safetensors"))
      for (const double value : tensor.to_vector()) REQUIRE(std::isfinite(value));
  }
}

TEST_CASE("Ctrl-C finishes the step, saves and says so") {
  const TemporaryFolder folder;
  make_data(folder);
  const Outcome outcome = fashion_mnist(folder, training({"--epochs", "100000"}), {.interrupt_after_ms = 1500});
  CHECK(outcome.code == 130);
  CHECK(outcome.err == "");
  CHECK_THAT(outcome.out,
             Contains("interrupted in epoch ") && Contains("the weights are in \"run/model.safetensors\""));
  CHECK(metrics(folder).back()["event"] == "interrupted");
  CHECK(fashion_mnist(folder, {"--eval-only", "--checkpoint", "run", "--data", "data"}).code == 0);
}

TEST_CASE("the optimizers of the catalogue can be listed") {
  const TemporaryFolder folder;
  const Outcome outcome = fashion_mnist(folder, {"--list-optimizers"});
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.out, Contains("adamw") && Contains("muon"));
}
