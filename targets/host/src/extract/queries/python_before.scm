; The docstring documents its function or class.
(class_definition
  name: (identifier) @name
  body: (block . (expression_statement (string) @doc))
  (#strip! @doc "^[rRuU]?(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$")) @definition.class
(class_definition
  body: (block
    (function_definition
      name: (identifier) @name
      body: (block . (expression_statement (string) @doc))) @definition.method)
  (#strip! @doc "^[rRuU]?(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$"))
(class_definition
  body: (block
    (decorated_definition
      (function_definition
        name: (identifier) @name
        body: (block . (expression_statement (string) @doc))) @definition.method))
  (#strip! @doc "^[rRuU]?(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$"))
(class_definition
  body: (block (function_definition name: (identifier) @name) @definition.method))
(class_definition
  body: (block
    (decorated_definition (function_definition name: (identifier) @name) @definition.method)))
(function_definition
  name: (identifier) @name
  body: (block . (expression_statement (string) @doc))
  (#strip! @doc "^[rRuU]?(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$")) @definition.function
