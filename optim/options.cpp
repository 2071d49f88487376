#include "optim/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace gradus::optim {

std::string to_text(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);  // shortest text that reads back the same
  return std::string(buffer, result.ptr);
}
std::string to_text(Index value) { return std::to_string(value); }
std::string to_text(bool value) { return value ? "true" : "false"; }
std::string to_text(const Betas& values) { return to_text(values[0]) + "," + to_text(values[1]); }

bool from_text(std::string_view text, double& value) {
  double read = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), read);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return false;
  value = read;
  return true;
}

bool from_text(std::string_view text, Index& value) {
  Index read = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), read);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return false;
  value = read;
  return true;
}

bool from_text(std::string_view text, bool& value) {
  if (text != "true" && text != "false" && text != "1" && text != "0") return false;
  value = text == "true" || text == "1";
  return true;
}

bool from_text(std::string_view text, Betas& value) {
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos) return false;
  Betas read{};
  if (!from_text(text.substr(0, comma), read[0]) || !from_text(text.substr(comma + 1), read[1])) return false;
  value = read;
  return true;
}

std::string kind_of(double) { return "a number"; }
std::string kind_of(Index) { return "a whole number"; }
std::string kind_of(bool) { return "true or false"; }
std::string kind_of(const Betas&) { return "two numbers, as in 0.9,0.999"; }
std::string kind_of_enum(std::span<const std::string_view> names) {
  std::string text = "one of ";
  for (std::size_t i = 0; i < names.size(); ++i) text += (i ? ", " : "") + std::string(names[i]);
  return text;
}

void OptionCheck::broken(std::string_view key, double value, const std::string& rule) {
  problems_ += "\n  " + std::string(key) + " = " + to_text(value) + ", needs " + rule;
}
void OptionCheck::at_least(std::string_view key, double value, double low) {
  if (!(value >= low && std::isfinite(value))) broken(key, value, "a finite number >= " + to_text(low));
}
void OptionCheck::above(std::string_view key, double value, double low) {
  if (!(value > low && std::isfinite(value))) broken(key, value, "a finite number > " + to_text(low));
}
void OptionCheck::fraction(std::string_view key, double value) {
  if (!(value >= 0 && value < 1)) broken(key, value, "0 <= " + std::string(key) + " < 1");
}
void OptionCheck::fraction(std::string_view key, const Betas& values) {
  for (std::size_t i = 0; i < 2; ++i) fraction(std::string(key) + "[" + std::to_string(i) + "]", values[i]);
}
void OptionCheck::between(std::string_view key, double value, double low, double high) {
  if (!(value >= low && value <= high))
    broken(key, value, to_text(low) + " <= " + std::string(key) + " <= " + to_text(high));
}
void OptionCheck::that(bool holds, std::string_view rule) {
  if (!holds) problems_ += "\n  " + std::string(rule);
}
void OptionCheck::finish() const {
  GRADUS_CHECK(problems_.empty(), std::string(method_) + ": impossible options" + problems_);
}

std::string nearest(std::string_view word, std::span<const std::string> valid) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : valid) {
    // Levenshtein distance, one row at a time.
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j <= candidate.size(); ++j) row[j] = j;
    for (std::size_t i = 0; i < word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i + 1;
      for (std::size_t j = 0; j < candidate.size(); ++j) {
        const std::size_t substitute = diagonal + (word[i] == candidate[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({substitute, row[j] + 1, row[j + 1] + 1});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

namespace detail {

void fail_unknown_option(std::string_view method, std::string_view key, const OptionList& valid) {
  std::string text = std::string(method) + ": unknown option \"" + std::string(key) + "\"\n  valid:";
  std::vector<std::string> keys;
  for (const auto& [name, value] : valid) {
    text += (keys.empty() ? " " : ", ") + name + "=" + value;
    keys.push_back(name);
  }
  if (const std::string near = nearest(key, keys); !near.empty()) text += "\n  hint: did you mean " + near + "?";
  fail(text);
}

void fail_option_value(std::string_view method, std::string_view key, std::string_view text, const std::string& kind) {
  fail(std::string(method) + ": option " + std::string(key) + " has the value \"" + std::string(text) + "\"\n  needs " +
       kind);
}

}  // namespace detail
}  // namespace gradus::optim
