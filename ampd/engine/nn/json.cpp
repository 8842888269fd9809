#include "json.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "model.hpp"

namespace amp::nn {

using nlohmann::json;

struct Json::Document {
  std::string file;
  json root;
};

namespace {

constexpr size_t kMostBytes = 64U << 20U;
constexpr int kMostDepth = 64;

[[noreturn]] void fail_file(const std::string& file, const std::string& what) {
  throw LoadError(file + ": " + what);
}

const json& as_json(const void* node) {
  return *static_cast<const json*>(node);
}

std::string read_file(const std::string& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail_file(file, "cannot be opened (" + std::string(std::strerror(errno)) + ").");
  const std::unique_ptr<const int, void (*)(const int*)> closer(&fd,
                                                                [](const int* f) { ::close(*f); });
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    fail_file(file, "is not a regular file; expected a model file.");
  if (info.st_size == 0) fail_file(file, "the file is empty; download or export it again.");
  const auto size = static_cast<size_t>(info.st_size);
  if (size > kMostBytes)
    fail_file(file, "is " + std::to_string(size >> 20U) + " MB; a model has at most 64 MB.");
  std::string text(size, '\0');
  size_t got = 0;
  while (got < size) {
    const ssize_t n = ::read(fd, text.data() + got, size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    got += static_cast<size_t>(n);
  }
  if (got < size) fail_file(file, "was cut short while it was read; try again.");
  return text;
}

void reject_foreign(const std::string& file, const std::string& text) {
  if (text.starts_with("PK")) fail_file(file, "is an archive, not a model file; unpack it first.");
  if (text.starts_with("RIFF")) fail_file(file, "is a WAV recording, not a model file.");
  const size_t start = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (start == std::string::npos) fail_file(file, "holds only white space; expected a model.");
  if (text[start] == '<')
    fail_file(file, "looks like a web page, not a model file; download the file itself.");
}

/// The reader's own words quote the file, whatever bytes are in it.
std::string printable(const char* text) {
  std::string clean;
  if (const char* const id = std::strstr(text, "] ")) text = id + 2;
  for (; *text != '\0'; ++text) clean += *text >= ' ' && *text <= '~' ? *text : '?';
  return clean;
}

json parse(const std::string& file, const std::string& text) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > kMostDepth)
      fail_file(file, "is nested deeper than 64 levels; expected a model file.");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      fail_file(file, "has the key \"" + parsed.get<std::string>() + "\" twice in one object.");
    return true;
  };
  try {
    return json::parse(text, check);
  } catch (const json::parse_error& error) {
    if (error.byte >= text.size())
      fail_file(file, "ends in the middle of the document (" + std::to_string(text.size()) +
                          " bytes); the download is incomplete, fetch it again.");
    fail_file(file, "is not valid JSON: " + printable(error.what()) + ".");
  } catch (const json::exception& error) {
    fail_file(file, "is not valid JSON: " + printable(error.what()) + ".");
  }
}

/// As deep as a document can be, which is kMostDepth.
bool anywhere(const json& node, std::string_view part) {
  if (node.is_string()) return node.get_ref<const std::string&>().find(part) != std::string::npos;
  if (!node.is_structured()) return false;
  for (const auto& [key, value] : node.items())
    if ((node.is_object() && key.find(part) != std::string::npos) || anywhere(value, part))
      return true;
  return false;
}

}  // namespace

Json::Json(std::shared_ptr<const Document> document, const void* node, std::string place)
    : document_(std::move(document)), node_(node), place_(std::move(place)) {}

Json Json::read(const std::string& path) {
  const std::string text = read_file(path);
  reject_foreign(path, text);
  auto document = std::make_shared<Document>(Document{path, parse(path, text)});
  const void* root = &document->root;
  return {std::move(document), root, ""};
}

bool Json::has(std::string_view key) const {
  const json& node = as_json(node_);
  const auto it = node.is_object() ? node.find(key) : node.end();
  return it != node.end() && !it->is_null();
}

bool Json::contains(std::string_view key) const {
  return as_json(node_).is_object() && as_json(node_).contains(key);
}

bool Json::mentions(std::string_view part) const {
  return anywhere(as_json(node_), part);
}

bool Json::is_object() const {
  return as_json(node_).is_object();
}
bool Json::is_array() const {
  return as_json(node_).is_array();
}
bool Json::is_text() const {
  return as_json(node_).is_string();
}
bool Json::is_number() const {
  return as_json(node_).is_number();
}

Json Json::at(std::string_view key) const {
  const json& node = as_json(node_);
  if (!node.is_object()) refuse("an object");
  const std::string place = place_.empty() ? std::string(key) : place_ + "." + std::string(key);
  const auto it = node.find(key);
  if (it == node.end()) fail(place + " is missing; the file is incomplete or of another kind.");
  return {document_, &*it, place};
}

Json Json::at(size_t index) const {
  return {document_, &as_json(node_)[index], place_ + "[" + std::to_string(index) + "]"};
}

size_t Json::size() const {
  const json& node = as_json(node_);
  return node.is_structured() ? node.size() : 0;
}

long Json::integer(long minimum, long maximum) const {
  const json& node = as_json(node_);
  const std::string range = std::to_string(minimum) + " to " + std::to_string(maximum);
  const bool whole =
      node.is_number_integer() ||
      (node.is_number_float() && std::floor(node.get<double>()) == node.get<double>());
  if (!whole) refuse("a whole number, " + range);
  const double value = node.get<double>();
  if (value < static_cast<double>(minimum) || value > static_cast<double>(maximum))
    refuse("a whole number, " + range);
  return static_cast<long>(value);
}

double Json::number() const {
  const json& node = as_json(node_);
  if (!node.is_number() || !std::isfinite(node.get<double>())) refuse("a finite number");
  return node.get<double>();
}

bool Json::boolean() const {
  if (!as_json(node_).is_boolean()) refuse("true or false");
  return as_json(node_).get<bool>();
}

std::string Json::text() const {
  if (!is_text()) refuse("a text");
  std::string clean;
  for (const char c : as_json(node_).get<std::string>().substr(0, 256))
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F) clean += c;
  return clean;
}

std::vector<float> Json::floats() const {
  const json& node = as_json(node_);
  if (!node.is_array()) refuse("a list of numbers");
  std::vector<float> values;
  values.reserve(node.size());
  for (size_t i = 0; i < node.size(); ++i) {
    if (!node[i].is_number()) at(i).refuse("a number");
    const auto value = static_cast<float>(node[i].get<double>());
    if (!std::isfinite(value)) at(i).refuse("a number that is finite in 32 bits");
    values.push_back(value);
  }
  return values;
}

std::vector<float> Json::floats(size_t count) const {
  std::vector<float> values = floats();
  if (values.size() != count)
    fail(place_ + " has " + std::to_string(values.size()) + " numbers, expected " +
         std::to_string(count) + "; the file is incomplete, fetch or export it again.");
  return values;
}

std::vector<int> Json::integers(int minimum, int maximum, size_t most) const {
  if (!is_array() || size() == 0 || size() > most)
    refuse("a list of 1 to " + std::to_string(most) + " whole numbers");
  std::vector<int> values(size());
  for (size_t i = 0; i < size(); ++i) values[i] = static_cast<int>(at(i).integer(minimum, maximum));
  return values;
}

std::string Json::found() const {
  const json& node = as_json(node_);
  if (node.is_structured())
    return std::string(node.is_array() ? "a list" : "an object") + " of " +
           std::to_string(node.size());
  std::string text = node.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

void Json::refuse(const std::string& expected) const {
  fail((place_.empty() ? "the document" : place_) + " is " + found() + ", expected " + expected +
       ".");
}

void Json::fail(const std::string& what) const {
  fail_file(document_->file, what);
}

const std::string& Json::file() const {
  return document_->file;
}

}  // namespace amp::nn
