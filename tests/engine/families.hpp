#pragma once

#include "fixtures.hpp"

namespace amp::test {

/// The weights of one recurrent layer and its head in torch's layout, random and the same for the
/// same seed: rows i, f, g, o or r, z, n.
struct Cell {
  Cell(bool gru, size_t inputs, size_t units, unsigned seed);
  [[nodiscard]] size_t rows() const { return (is_gru ? 3 : 4) * hidden; }

  bool is_gru;
  size_t ins;
  size_t hidden;
  std::vector<float> ih;       ///< [rows][ins]
  std::vector<float> hh;       ///< [rows][hidden]
  std::vector<float> bias_ih;  ///< [rows]
  std::vector<float> bias_hh;  ///< [rows]
  std::vector<float> head;     ///< [hidden]
  float head_bias = 0.1F;
};

/// The same net as each family writes it.
nlohmann::json state_dict_model(const Cell& cell);
nlohmann::json keras_model(const Cell& cell);
nlohmann::json nam_lstm_model(const Cell& cell);

/// A layer of a keras model.
nlohmann::json layer(const std::string& type, int units, const nlohmann::json& weights);

/// A gated PedalNet of two layers and three channels, and what it plays, worked out plainly.
nlohmann::json pedalnet_model();
std::vector<float> plain_pedalnet(const nlohmann::json& document, const std::vector<float>& input);

}  // namespace amp::test
