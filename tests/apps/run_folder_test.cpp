#include "apps/common/run_folder.h"

#include "core/error.h"
#include "tests/support.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <limits>
#include <sys/resource.h>

using namespace gradus;
using apps::RunFolder;
using Catch::Matchers::Contains;
using gradus::testing::error_of;
using gradus::testing::TemporaryFolder;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::uint64_t kMany = 1 << 20;

}  // namespace

TEST_CASE("a run folder holds the settings and a line for each event") {
  const TemporaryFolder folder;
  const std::string path = folder / "new/run with spaces";
  const double third = 1.0 / 3.0;
  {
    RunFolder run(path);
    CHECK(std::filesystem::is_directory(path));
    run.begin("{\"epochs\": 2}\n");
    CHECK(run.path() == path);
    run.log({{"event", "epoch"}, {"loss", third}, {"bad", std::nan("")}});
    CHECK(Json::parse(read_file(run.file("metrics.jsonl"), kMany))["loss"].get<double>() == third);  // flushed at once
    run.log({{"event", "final"}, {"test_accuracy", 0.8969}, {"name", "not \xff UTF-8"}});
  }
  CHECK(read_file(path + "/config.json", kMany) == "{\"epochs\": 2}\n");
  const std::string metrics = read_file(path + "/metrics.jsonl", kMany);
  CHECK_THAT(metrics, Contains("\"bad\":null") && Contains("{\"event\":\"final\",\"test_accuracy\":0.8969"));
  CHECK(metrics.back() == '\n');
}

TEST_CASE("a folder that holds a run is refused and stays as it is") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  {
    RunFolder run(path);
    run.begin("old");
    run.log({{"event", "final"}, {"test_accuracy", 0.8969}});
  }
  write_file(path + "/model.safetensors", "weights");
  write_file(path + "/notes.txt", "mine");

  CHECK_THAT(error_of([&] { RunFolder{path}; }),
             Contains("holds a finished run (test accuracy 0.8969)") && Contains("--overwrite"));
  CHECK(read_file(path + "/config.json", kMany) == "old");
  CHECK_THAT(read_file(path + "/metrics.jsonl", kMany), Contains("final"));
  CHECK(read_file(path + "/model.safetensors", kMany) == "weights");

  SECTION("unless told to overwrite it: then its outputs go, other files stay") {
    RunFolder run(path, true);
    CHECK(read_file(path + "/config.json", kMany) == "old");  // nothing goes before the new run begins
    CHECK(read_file(path + "/model.safetensors", kMany) == "weights");
    run.begin("new", {"model.safetensors"});
    run.log({{"event", "start"}});
    CHECK(read_file(path + "/config.json", kMany) == "new");
    CHECK(read_file(path + "/metrics.jsonl", kMany) == "{\"event\":\"start\"}\n");
    CHECK_FALSE(std::filesystem::exists(path + "/model.safetensors"));
    CHECK(read_file(path + "/notes.txt", kMany) == "mine");
    CHECK_THAT(error_of([&] { RunFolder{path}; }), Contains("holds an unfinished run"));
  }
  SECTION("a run whose last line is cut off counts as unfinished") {
    write_file(path + "/metrics.jsonl", "{\"event\":\"epoch\"}\n{\"event\":\"fin");
    CHECK_THAT(error_of([&] { RunFolder{path}; }), Contains("holds an unfinished run"));
  }
}

TEST_CASE("numbered run folders skip those that hold a run") {
  const TemporaryFolder folder;
  const std::string base = folder / "runs/lab";
  CHECK(apps::next_run_folder(base) == base + "-1");
  RunFolder first(base + "-1");
  CHECK(apps::next_run_folder(base) == base + "-1");  // made, but its run has not begun
  first.begin("{}");
  CHECK(apps::next_run_folder(base) == base + "-2");
}

TEST_CASE("a folder that cannot be made or written is refused") {
  const TemporaryFolder folder;
  write_file(folder / "file", "x");
  CHECK_THAT(error_of([&] { RunFolder{folder / "file"}; }), Contains("cannot make the run folder"));
  CHECK_THAT(error_of([&] { RunFolder{folder / "file/run"}; }), Contains("cannot make the run folder"));
  CHECK_THAT(error_of([&] { RunFolder{"/proc/no/run"}; }), Contains("cannot make the run folder"));
  CHECK_THAT(error_of([&] { RunFolder{""}; }), Contains("cannot make the run folder"));
}

TEST_CASE("metrics on a full disk keep their whole lines") {
  const TemporaryFolder folder;
  RunFolder run(folder / "run");
  run.begin("{}");
  run.log({{"event", "start"}});
  const auto size = std::filesystem::file_size(run.file("metrics.jsonl"));

  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit limited{size + 10, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limited);
  const std::string error = error_of([&] { run.log({{"event", "epoch"}, {"loss", 0.25}}); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);

  CHECK_THAT(error, Contains("metrics.jsonl") && Contains("File too large") && Contains("the lines before are whole"));
  CHECK(read_file(run.file("metrics.jsonl"), kMany) == "{\"event\":\"start\"}\n");
  run.log({{"event", "final"}});
  CHECK(read_file(run.file("metrics.jsonl"), kMany) == "{\"event\":\"start\"}\n{\"event\":\"final\"}\n");
}
