// What a command line sets. Messages and exit codes of wrong usage are tested on a built program:
// fashion_mnist_test.cpp.
#include "apps/common/cli.h"

#include <catch2/catch.hpp>

using namespace gradus;
using namespace gradus::apps;

namespace {

struct Settings {
  bool quiet = false;
  Index epochs = 3;
  double lr = 0.1;
  std::optional<double> decay;
  std::vector<Index> hidden = {8, 4};
  std::string model = "mlp", out, file;
  std::vector<std::string> opt;
};

/// Parses and returns the exit code; -1 stands for a body that did not run.
int parse(Settings& s, std::vector<const char*> arguments, std::string* config = nullptr, bool* used = nullptr) {
  Cli cli("app", "An app.");
  cli.group("All")
      .add("--quiet", s.quiet, "switch")
      .add("--max-epochs", s.epochs, "whole", between(1, 10))
      .add("--lr", s.lr, "number", above(0))
      .add("--weight-decay", s.decay, "optional", at_least(0))
      .add("--hidden", s.hidden, "list", at_least(1))
      .add("--out", s.out, "text", "DIR")
      .add("--opt", s.opt, "repeated", "KEY=VALUE")
      .add_choice("--model", s.model, {"mlp", "linear"}, "choice");
  Cli& use = cli.command("use", "A command.");
  use.add_argument("FILE", s.file, "argument").add("--out", s.out, "text", "DIR");
  arguments.insert(arguments.begin(), "app");
  bool ran = false;
  const int code = cli.run(static_cast<int>(arguments.size()), arguments.data(), [&] {
    ran = true;
    if (config) *config = cli.config();
    if (used) *used = use.chosen();
    return 7;
  });
  return ran ? code : -1;
}

}  // namespace

TEST_CASE("without flags the defaults stand, and the body's code is the exit code") {
  Settings s;
  std::string config;
  CHECK(parse(s, {}, &config) == 7);
  CHECK(config == R"({
  "quiet": false,
  "max_epochs": 3,
  "lr": 0.1,
  "weight_decay": null,
  "hidden": [8,4],
  "out": "",
  "opt": [],
  "model": "mlp"
}
)");
}

TEST_CASE("flags set variables, with dashes or underscores, and the last one counts") {
  Settings s;
  std::string config;
  CHECK(parse(s,
              {"--quiet", "--max_epochs", "5", "--max-epochs=6", "--lr=1e-3", "--weight_decay", "0", "--hidden", "5",
               "--hidden=16,32", "--out", "a_b--c", "--opt", "a=1", "--opt=b_c=2", "--model", "linear"},
              &config) == 7);
  CHECK(s.quiet);
  CHECK(s.epochs == 6);
  CHECK(s.lr == 1e-3);
  CHECK(s.decay == 0.0);
  CHECK(s.hidden == std::vector<Index>{16, 32});
  CHECK(s.out == "a_b--c");  // values keep their underscores
  CHECK(s.opt == std::vector<std::string>{"a=1", "b_c=2"});
  CHECK(s.model == "linear");
  CHECK_THAT(config,
             Catch::Matchers::Contains("\"lr\": 0.001,") && Catch::Matchers::Contains("\"opt\": [\"a=1\",\"b_c=2\"]"));
}

TEST_CASE("commands have flags of their own") {
  Settings s;
  bool used = false;
  CHECK(parse(s, {"use", "x.png", "--out", "here"}, nullptr, &used) == 7);
  CHECK(used);
  CHECK(s.file == "x.png");
  CHECK(s.out == "here");
}

TEST_CASE("nearest finds slips of the fingers only") {
  const std::vector<std::string> names = {"sgd", "adam", "adamw", "lion"};
  CHECK(nearest("adamm", names) == "adam");
  CHECK(nearest("SGD", {"sgd", "SGB"}) == "SGB");
  CHECK(nearest("loin", names) == "lion");
  CHECK(nearest("something else", names) == "");
  CHECK(nearest("x", {}) == "");
}
