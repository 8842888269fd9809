#include "json_document.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "model.hpp"

namespace amp::nn {

using nlohmann::json;

namespace {

constexpr size_t kMostBytes = 64U << 20U;
constexpr size_t kMostDepth = 64;

/// What a value takes in memory beyond its text: a number stands in its list, everything else has
/// allocations of its own.
constexpr size_t kValueBytes = sizeof(json);
constexpr size_t kTextBytes = 64;
constexpr size_t kListBytes = 80;
constexpr size_t kKeyBytes = 96;

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw LoadError(name + ": " + what);
}

/// Words that quote the file, whatever bytes are in it and however many.
std::string printable(std::string_view text) {
  constexpr size_t kMost = 160;
  std::string clean;
  for (const char c : text.substr(0, kMost)) clean += c >= ' ' && c <= '~' ? c : '?';
  return text.size() > kMost ? clean + "..." : clean;
}

/// Builds the document while it is read, so that what is too deep, doubled or too much is refused
/// where it stands and not after all of it was taken in.
class Builder final : public nlohmann::json_sax<json> {
 public:
  Builder(const std::string& name, size_t length) : name_(name), length_(length) {}

  Tree take() { return std::move(tree_); }

  bool null() override { return add(nullptr, 0); }
  bool boolean(bool value) override { return add(value, 0); }
  bool number_integer(json::number_integer_t value) override { return add(value, 0); }
  bool number_unsigned(json::number_unsigned_t value) override { return add(value, 0); }
  bool number_float(json::number_float_t value, const std::string&) override {
    return add(value, 0);
  }
  bool string(std::string& value) override {
    const size_t bytes = kTextBytes + value.size();
    return add(std::move(value), bytes);
  }
  bool binary(json::binary_t&) override { return false; }
  bool start_object(size_t) override { return open(json::object()); }
  bool start_array(size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& value) override {
    charge(kKeyBytes + value.size());
    const auto [at, is_new] = open_.back()->emplace(value, nullptr);
    if (!is_new) fail(name_, "has the key \"" + printable(value) + "\" twice in one object.");
    slot_ = &*at;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const json::exception& error) override {
    if (position > length_)
      fail(name_, "ends in the middle of the document (" + std::to_string(length_) +
                      " bytes); the download is incomplete, fetch it again.");
    const std::string_view what = error.what();
    const size_t id = what.find("] ");
    fail(name_, "is not valid JSON: " +
                    printable(id == std::string_view::npos ? what : what.substr(id + 2)) + ".");
  }

 private:
  void charge(size_t bytes) {
    bytes_ += bytes;
    if (bytes_ > kMostBytes)
      fail(name_, "holds more values than fit into 64 MB; expected a model, which has fewer.");
  }

  json* put(json&& value, size_t bytes) {
    charge(kValueBytes + bytes);
    if (open_.empty()) {
      tree_.root = std::move(value);
      return &tree_.root;
    }
    if (open_.back()->is_object()) {
      *slot_ = std::move(value);
      return slot_;
    }
    open_.back()->push_back(std::move(value));
    return &open_.back()->back();
  }

  bool add(json&& value, size_t bytes) {
    put(std::move(value), bytes);
    return true;
  }

  bool open(json&& value) {
    if (open_.size() == kMostDepth)
      fail(name_, "is nested deeper than 64 levels; expected a model file.");
    open_.push_back(put(std::move(value), kListBytes));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  const std::string& name_;
  size_t length_;
  size_t bytes_ = 0;
  Tree tree_;
  std::vector<json*> open_;  ///< a list grows only while it is the innermost, so none of them moves
  json* slot_ = nullptr;     ///< of the last key
};

void reject_foreign(std::string_view text, const std::string& name) {
  if (text.empty()) fail(name, "the file is empty; download or export it again.");
  if (text.starts_with("PK")) fail(name, "is an archive, not a model file; unpack it first.");
  if (text.starts_with("\x1F\x8B")) fail(name, "is a gzip archive; unpack it first.");
  if (text.starts_with("RIFF")) fail(name, "is a WAV recording, not a model file.");
  const size_t start = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (start == std::string_view::npos) fail(name, "holds only white space; expected a model.");
  if (text[start] == '<')
    fail(name, "looks like a web page, not a model file; download the file itself.");
  // The parser takes a NUL for the end and would not look at what is behind it.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos)
    fail(name, "is not valid JSON: byte " + std::to_string(nul) +
                   " is NUL; the file is damaged or of another kind, fetch it again.");
}

void check_length(size_t bytes, const std::string& name) {
  if (bytes > kMostBytes)
    fail(name, "is " + std::to_string(bytes >> 20U) + " MB; a model has at most 64 MB.");
}

/// Leave nothing in it that has children; as deep as a document can be, which is kMostDepth.
void empty(json& node) noexcept {
  if (!node.is_structured()) return;
  for (json& child : node) empty(child);
  node.clear();
}

}  // namespace

Tree::~Tree() {
  empty(root);
}

std::string read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail(path, "cannot be opened (" + std::string(std::strerror(errno)) + ").");
  const std::unique_ptr<const int, void (*)(const int*)> closer(&fd,
                                                                [](const int* f) { ::close(*f); });
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    fail(path, "is not a regular file; expected a model file.");
  const auto size = static_cast<size_t>(info.st_size);
  check_length(size, path);
  std::string text(size, '\0');
  size_t got = 0;
  while (got < size) {
    const ssize_t n = ::read(fd, text.data() + got, size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    got += static_cast<size_t>(n);
  }
  if (got < size) fail(path, "was cut short while it was read; try again.");
  return text;
}

Tree parse_document(std::string_view bytes, const std::string& name) {
  check_length(bytes.size(), name);
  reject_foreign(bytes, name);
  Builder builder(name, bytes.size());
  json::sax_parse(bytes, &builder);
  return builder.take();
}

}  // namespace amp::nn
