#include "apps/common/progress.h"

#include "tests/data/fixtures.h"

#include <catch2/catch.hpp>

using namespace gradus;
using apps::BarState;
using apps::format_bar;
using apps::Terminal;
using Catch::Matchers::Contains;
using gradus::testing::Variable;

namespace {

const BarState kState = {.label = "epoch 3/12",
                         .fields = "loss 0.3121  accuracy 0.8850",
                         .unit = "images",
                         .done = 30'000,
                         .total = 60'000,
                         .per_second = 41'230.4,
                         .seconds_left = 72};

/// Columns that a line takes on the terminal: escape sequences none, a character of several bytes one.
int columns_of(const std::string& line) {
  int columns = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b')
      i = line.find('m', i);
    else if ((static_cast<unsigned char>(line[i]) & 0xc0) != 0x80)
      ++columns;
  }
  return columns;
}

}  // namespace

TEST_CASE("times and counts are written for people") {
  CHECK(apps::format_seconds(0) == "0:00");
  CHECK(apps::format_seconds(59.6) == "1:00");
  CHECK(apps::format_seconds(754) == "12:34");
  CHECK(apps::format_seconds(3723) == "1:02:03");
  CHECK(apps::format_seconds(-5) == "0:00");
  CHECK(apps::format_seconds(1e300).size() < 20);
  CHECK(apps::format_count(0) == "0");
  CHECK(apps::format_count(999.4) == "999");
  CHECK(apps::format_count(1000) == "1,000");
  CHECK(apps::format_count(1'234'567) == "1,234,567");
}

TEST_CASE("the bar shows what fits") {
  CHECK(format_bar(kState, {.columns = 120}) ==
        "epoch 3/12 [================----------------]  50%  loss 0.3121  accuracy 0.8850  41,230 images/s  ETA 1:12");
  CHECK(format_bar(kState, {.columns = 70}) == "epoch 3/12 [=====------]  50%  loss 0.3121  accuracy 0.8850  ETA 1:12");
  CHECK(format_bar(kState, {.columns = 40}) == "epoch 3/12 [=====------]  50%  ETA 1:12");
  CHECK(format_bar(kState, {.columns = 30}) == "epoch 3/12 [=====------]  50%");
  CHECK(format_bar(kState, {.columns = 17}) == "epoch 3/12  50%");
  CHECK(format_bar(kState, {.columns = 8}) == "epoch 3");
}

TEST_CASE("the bar never fills the line, in any terminal") {
  for (const bool color : {false, true})
    for (const bool unicode : {false, true})
      for (int columns = 1; columns <= 200; ++columns) {
        const std::string bar =
            format_bar(kState, {.bar = true, .color = color, .unicode = unicode, .columns = columns});
        CAPTURE(color, unicode, columns, bar);
        CHECK(columns_of(bar) <= std::max(columns - 1, 0));
        if (!color) CHECK(bar.find('\x1b') == bar.npos);
      }
}

TEST_CASE("the bar survives odd numbers") {
  BarState state = kState;
  state.done = state.total;
  CHECK_THAT(format_bar(state, {.columns = 120}), Contains("[================================] 100%"));
  state.total = 0;
  CHECK_THAT(format_bar(state, {.columns = 120}), Contains("  0%"));
  state.per_second = 0;
  state.seconds_left = -1;
  CHECK_THAT(format_bar(state, {.columns = 120}), !Contains("ETA") && !Contains("/s"));
}

TEST_CASE("the environment decides what the output looks like") {
  const Variable columns("COLUMNS", "66"), locale("LC_ALL", "de_DE.UTF-8");
  CHECK(apps::detect_terminal().columns == 66);
  CHECK(apps::detect_terminal().unicode);
  const Variable odd("COLUMNS", "many"), ascii("LC_ALL", "C");
  CHECK(apps::detect_terminal().columns > 0);
  CHECK_FALSE(apps::detect_terminal().unicode);
  const Variable dumb("TERM", "dumb");
  CHECK_FALSE(apps::detect_terminal().bar);
  CHECK_FALSE(apps::detect_terminal().color);
}
