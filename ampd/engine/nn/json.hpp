#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace amp::nn {

/// A place in a JSON document that came from a file nobody vouches for. Every read checks type and
/// range, and what it finds wrong is a LoadError that names file, place, found and expected.
/// Thread: control.
class Json {
 public:
  /// The document in `bytes`, which must hold to the bounds of json_document.hpp; `name` is what
  /// errors call it. Raises LoadError.
  static Json parse(std::string_view bytes, const std::string& name);

  [[nodiscard]] bool has(std::string_view key) const;        ///< present and not null
  [[nodiscard]] bool contains(std::string_view key) const;   ///< present, if only as null
  [[nodiscard]] bool mentions(std::string_view part) const;  ///< in a key or text, at any depth
  [[nodiscard]] bool is_object() const;
  [[nodiscard]] bool is_array() const;
  [[nodiscard]] bool is_text() const;
  [[nodiscard]] bool is_number() const;

  [[nodiscard]] Json at(std::string_view key) const;  ///< raises LoadError where it is missing
  [[nodiscard]] Json at(size_t index) const;          ///< raises LoadError unless a list so long
  [[nodiscard]] size_t size() const;                  ///< of an array or object, else 0

  long integer(long minimum, long maximum) const;
  [[nodiscard]] double number() const;  ///< finite
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::vector<float> floats() const;  ///< an array of numbers, finite as float32
  [[nodiscard]] std::vector<float> floats(size_t count) const;  ///< exactly so many
  [[nodiscard]] std::vector<int> integers(int minimum, int maximum, size_t most) const;

  /// Raise the LoadError "FILE: PLACE is FOUND, expected EXPECTED."
  [[noreturn]] void refuse(const std::string& expected) const;
  /// Raise the LoadError "FILE: WHAT".
  [[noreturn]] void fail(const std::string& what) const;

  [[nodiscard]] const std::string& file() const;

 private:
  struct Document;
  Json(std::shared_ptr<const Document> document, const void* node, std::string place);
  [[nodiscard]] std::string found() const;

  std::shared_ptr<const Document> document_;
  const void* node_;
  std::string place_;
};

}  // namespace amp::nn
