// What an optimizer remembers between steps, as data to save, and the visitor that writes, checks and reads it.
#pragma once

#include "core/named.h"
#include "optim/options.h"

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace gradus::optim {

/// Options and counters as text, slots as tensors under "parameter/slot". A safetensors file takes it as it is:
/// `values` are its metadata.
struct State {
  std::map<std::string, std::string> values;
  NamedTensors tensors;
};

/// Every optimizer lists what it remembers once, in visit(StateVisitor&); saving, checking and loading are the same
/// walk with another visitor. A load checks everything first, so that a state that does not fit changes nothing.
class StateVisitor {
 public:
  enum class Mode { save, check, load };

  /// `state` is filled when saving, read otherwise.
  StateVisitor(Mode mode, State& state);

  bool saving() const { return mode_ == Mode::save; }
  bool loading() const { return mode_ == Mode::load; }

  /// Puts `scope` in front of the keys of values until the destructor: parts of a composed optimizer.
  class Scope {
   public:
    Scope(StateVisitor& visitor, std::string_view scope) : visitor_(visitor), size_(visitor.prefix_.size()) {
      visitor.prefix_ += std::string(scope) + ".";
    }
    ~Scope() { visitor_.prefix_.resize(size_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    StateVisitor& visitor_;
    std::size_t size_;
  };

  /// Writes or reads one number, flag or list. Both `check` and `load` change `value`: pass a copy of what must survive
  /// a failed check.
  template <class T>
  void value(std::string_view key, T& value) {
    if (saving()) {
      put(key, to_text(value));
    } else if (const std::string* text = take(key); text && !from_text(*text, value)) {
      problem(prefix_ + std::string(key) + " is \"" + *text + "\", needs " + kind_of(value));
    }
  }
  /// A text that must be the same now as when it was saved, such as the name of the method. `hint` says how to mend it.
  void expect(std::string_view key, std::string_view text, std::string_view hint);
  /// Whether the saved state has this value.
  bool has(std::string_view key) const;

  /// Writes a copy, checks, or makes `slot` a tensor of this shape and dtype with the saved values.
  void tensor(const std::string& key, Tensor& slot, const Shape& shape, DType dtype);
  bool has_tensor(const std::string& key) const;

  void problem(std::string text);
  /// After a check: throws an Error with all problems, unexpected entries among them.
  void finish(std::string_view method);

 private:
  void put(std::string_view key, std::string text);
  const std::string* take(std::string_view key);

  Mode mode_;
  State& state_;
  std::string prefix_;
  std::map<std::string, const Tensor*, std::less<>> tensors_;
  std::set<std::string, std::less<>> used_values_, used_tensors_;
  std::string problems_;
  int problem_count_ = 0;
};

/// A tensor that counts as optimizer memory, filled with zeros.
Tensor zero_slot(const Shape& shape, DType dtype);
/// A copy of `source` that counts as optimizer memory.
Tensor slot_copy(const Tensor& source);

}  // namespace gradus::optim
