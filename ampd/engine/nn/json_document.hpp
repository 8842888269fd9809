#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace amp::nn {

/// A document that goes without a single allocation, as all of them must where memory has run out:
/// nlohmann's own end takes room for a list of its children, and ends the program where there is
/// none.
struct Tree {
  Tree() = default;
  Tree(Tree&& other) noexcept = default;
  Tree& operator=(Tree&&) = delete;
  ~Tree();

  nlohmann::json root;
};

/// The bytes of a regular file of at most 64 MB; nothing else is waited for or read from. Raises
/// LoadError. Thread: control.
std::string read_file(const std::string& path);

/// A document from a file nobody vouches for: UTF-8, at most 64 MB of text and as much in memory,
/// nested at most 64 deep, no key twice in an object, nothing behind it. `name` is what errors call
/// it. Raises LoadError. Thread: control.
Tree parse_document(std::string_view bytes, const std::string& name);

}  // namespace amp::nn
