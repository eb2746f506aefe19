resource "x" "a" {
  size = 2
}
