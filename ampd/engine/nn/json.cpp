#include "json.hpp"

#include <cmath>

#include "json_document.hpp"
#include "model.hpp"

namespace amp::nn {

using nlohmann::json;

struct Json::Document {
  std::string file;
  Tree tree;
};

namespace {

const json& as_json(const void* node) {
  return *static_cast<const json*>(node);
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

/// Characters that a terminal obeys or that turn text around: controls, direction marks,
/// separators.
bool is_invisible(std::string_view character) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0) < 0x20 || byte(0) == 0x7F;
  if (character.size() == 2) return byte(0) == 0xC2 && byte(1) < 0xA0;
  if (character.size() != 3 || byte(0) != 0xE2) return false;
  if (byte(1) == 0x80) return byte(2) == 0x8E || byte(2) == 0x8F || (byte(2) & 0xF8U) == 0xA8;
  return byte(1) == 0x81 && byte(2) >= 0xA6 && byte(2) <= 0xA9;
}

/// At most 256 bytes of a text that the parser found to be UTF-8, no character cut in two.
std::string displayable(std::string_view text) {
  std::string clean;
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (at + length > 256) break;
    const std::string_view character = text.substr(at, length);
    if (!is_invisible(character)) clean += character;
    at += length;
  }
  return clean;
}

}  // namespace

Json::Json(std::shared_ptr<const Document> document, const void* node, std::string place)
    : document_(std::move(document)), node_(node), place_(std::move(place)) {}

Json Json::parse(std::string_view bytes, const std::string& name) {
  auto document = std::make_shared<Document>(Document{name, parse_document(bytes, name)});
  const void* root = &document->tree.root;
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
  if (!is_array() || index >= size()) refuse("a list of at least " + std::to_string(index + 1));
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
  return displayable(as_json(node_).get_ref<const std::string&>());
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
  const bool is_long = node.is_string() && node.get_ref<const std::string&>().size() > 60;
  const json shown = is_long ? json(node.get_ref<const std::string&>().substr(0, 60)) : node;
  std::string text = shown.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

void Json::refuse(const std::string& expected) const {
  fail((place_.empty() ? "the document" : place_) + " is " + found() + ", expected " + expected +
       ".");
}

void Json::fail(const std::string& what) const {
  throw LoadError(document_->file + ": " + what);
}

const std::string& Json::file() const {
  return document_->file;
}

}  // namespace amp::nn
