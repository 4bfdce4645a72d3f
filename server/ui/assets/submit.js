"use strict";
// The answer for the application: posted at once, without waiting for its button.
document.getElementById("form-post").submit();
