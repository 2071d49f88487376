// Pixels depend on gnuplot's version and fonts: what is checked is data, script, and that files appear.
#include "apps/common/plot.h"

#include "core/file.h"
#include "tests/data/fixtures.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <filesystem>

using namespace gradus;
using Catch::Matchers::Contains;
using gradus::testing::error_of;
using gradus::testing::TemporaryFolder;
using gradus::testing::Variable;

namespace {

constexpr std::uint64_t kMany = 1 << 20;

std::string read(const TemporaryFolder& folder, const std::string& name) { return read_file(folder / name, kMany); }
bool exists(const TemporaryFolder& folder, const std::string& name) { return std::filesystem::exists(folder / name); }

/// All pictures are there, or a line says that gnuplot is not.
void check_drawn(const TemporaryFolder& folder, const std::string& notice, const std::vector<std::string>& pictures) {
  if (!notice.empty()) {
    CHECK_THAT(notice, Contains("gnuplot is not installed"));
    return;
  }
  for (const auto& picture : pictures) {
    CAPTURE(picture);
    CHECK(exists(folder, picture));
  }
}

}  // namespace

TEST_CASE("curves: data, script and pictures") {
  const TemporaryFolder folder;
  const std::vector<Index> none;
  const std::vector<apps::Panel> panels = {
      {"loss", "epoch", "it's log", {{"train", {1, 2}, {0.5, 1.0 / 3}}, {"test", {1, 2}, {0.75, NAN}}}, false, true},
      {"accuracy", "epoch", "share", {{"train", {1}, {0.5}}}}};
  const std::string notice =
      apps::plot_curves(folder.path().string(), "curves", "title\nwith a $(touch x) and 'quotes'", panels);
  CHECK(read(folder, "plots/curves.tsv") ==
        "# loss: train\n1\t0.5\n2\t0.3333333333333333\n\n\n# loss: test\n1\t0.75\n2\tNaN\n\n\n# accuracy: "
        "train\n1\t0.5\n\n\n");
  CHECK_THAT(read(folder, "plots/curves.gp"), Contains("'title with a $(touch x) and ''quotes'''") &&
                                                  Contains("set logscale y") && Contains("unset logscale y"));
  check_drawn(folder, notice, {"curves.svg", "curves.png"});
  CHECK_FALSE(exists(folder, "plots/curves.log"));
}

TEST_CASE("confusion matrix: rows are the truth, shares within the row") {
  const TemporaryFolder folder;
  const std::string notice =
      apps::plot_confusion(folder.path().string(), "confusion", "title", {"a", "b"}, {3, 1, 0, 0});
  CHECK(read(folder, "plots/confusion.tsv") ==
        "# prediction\ttruth\tshare of the truth\tcount\n0\t0\t0.75\t3\n1\t0\t0.25\t1\n\n0\t1\t0\t0\n1\t1\t0\t0\n\n");
  check_drawn(folder, notice, {"confusion.png"});
  CHECK_THAT(error_of([&] { apps::plot_confusion("x", "y", "z", {"a", "b"}, {1, 2, 3}); }), Contains("3 counts"));
}

TEST_CASE("tiles: captions, mistakes framed") {
  const TemporaryFolder folder;
  const std::vector<apps::Tile> tiles = {{std::vector<std::uint8_t>(16, 7), "right", false},
                                         {std::vector<std::uint8_t>(16, 9), "wrong\nis right", true}};
  const std::string notice = apps::plot_tiles(folder.path().string(), "samples", "title", 4, 10, tiles);
  CHECK_THAT(read(folder, "plots/samples.tsv"), Contains("7\t7\t7\t7\t255\t9\t9\t9\t9"));
  CHECK_THAT(read(folder, "plots/samples.gp"),
             Contains("set object rectangle") && Contains("'wrong'") && Contains("'is right'"));
  check_drawn(folder, notice, {"samples.png"});
}

TEST_CASE("without gnuplot, data and script remain and a line says so") {
  const TemporaryFolder folder;
  const Variable path("PATH", folder.path().string());
  const std::string notice = apps::plot_confusion(folder.path().string(), "confusion", "title", {"a"}, {1});
  CHECK(notice == "gnuplot is not installed (Debian: gnuplot-nox)");
  CHECK(exists(folder, "plots/confusion.tsv"));
  CHECK(exists(folder, "plots/confusion.gp"));
  CHECK_FALSE(exists(folder, "confusion.png"));
}

TEST_CASE("when gnuplot fails, its words are kept") {
  const TemporaryFolder folder;
  write_file(folder / "gnuplot", "#!/bin/sh\necho no font; exit 3\n");
  std::filesystem::permissions(folder / "gnuplot", std::filesystem::perms::owner_all);
  const Variable path("PATH", folder.path().string());
  const std::string notice = apps::plot_confusion(folder.path().string(), "confusion", "title", {"a"}, {1});
  CHECK_THAT(notice, Contains("gnuplot failed") && Contains("confusion.log"));
  CHECK(read(folder, "plots/confusion.log") == "no font\n");
}
